import { BufferedReply } from '../../http/bodies/buffered-reply.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import { type Call, isRepeatable } from '../../proxy/call.ts';
import { gaveUpBecause, ProxyError } from '../../proxy/errors.ts';
import type { RetryStep } from '../../proxy/events.ts';
import type { RetryDenial } from '../../proxy/gave-up.ts';
import { type Outcome, type Policy, type Send, settle, unwrap } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Random } from '../../runtime/random.ts';
import { RETRY_COST, type RetryBudget } from './budget.ts';
import { classify, isSuccess, type RetryVerdict } from './classify.ts';
import type { RetryOptions } from './options.ts';
import { nextStep, type Step } from './step.ts';
import type { Trip } from './backoff-interrupt.ts';

export interface RetryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly budget: RetryBudget;
  readonly trip: Trip;
  /** Bounds the failed replies that are kept during backoff. */
  readonly memory: ByteBudget;
  /** An attempt may have a second one beside it, which counts as an attempt. */
  readonly hedged?: boolean;
}

type Yes = Extract<RetryVerdict, { retry: 'yes' }>;
type No = Extract<RetryVerdict, { retry: 'no' }>;

/** One that may by its nature be followed by another. */
interface FailedAttempt {
  readonly outcome: Outcome;
  readonly verdict: Yes;
  readonly call: Call;
  readonly attempt: Attempt;
}

/** A call whose last attempt will not be followed by another. */
interface Ended {
  readonly outcome: Outcome;
  readonly verdict: No;
  readonly call: Call;
  readonly last: KeptOutcome | undefined;
  readonly paid: number;
}

/**
 * Repeats a failed attempt while its nature, attempts, time, breaker and budget all allow it; otherwise the last
 * outcome stands, an upstream's reply as it came.
 */
export function retry(options: RetryOptions, deps: RetryDeps): Policy {
  const loop = new RetryLoop(options, deps);
  return (next) => (call, attempt) => {
    const { overrides } = call;
    if (overrides === undefined) return loop.run(next, call, attempt);
    // The client's word goes before the route's, where it may have one.
    const { attempts = options.attempts, retryOn: statuses = options.statuses } = overrides;
    return new RetryLoop({ ...options, attempts, statuses }, deps).run(next, call, attempt);
  };
}

class RetryLoop {
  readonly #options: RetryOptions;
  readonly #deps: RetryDeps;

  constructor(options: RetryOptions, deps: RetryDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  async run(next: Send, call: Call, all: Attempt): Promise<Reply> {
    let last: KeptOutcome | undefined;
    let previousMs = 0;
    const charged = this.#charge(call);
    let { paid } = charged;
    try {
      for (let number = 1; ; number++) {
        const current = this.#attempt(call, all, number, charged.owing);
        const outcome = await settle(next, call, current);
        number = sentSoFar(current);
        const verdict = classify(outcome, call, this.#options, current.number);
        if (isSuccess(outcome, verdict)) this.#deps.budget.deposit();
        if (verdict.retry === 'no') return this.#end({ outcome, verdict, call, last, paid });

        const step = this.#next({ outcome, verdict, call, attempt: current }, previousMs);
        if (step.kind === 'stop') return denied(outcome, step.because, call);
        const denial = this.#deny(step, all, charged.owing);
        if (denial !== undefined) return denied(outcome, denial, call);

        const { delayMs, reason } = step;
        paid = step.cost;
        call.journal.retryScheduled(number + 1, delayMs, reason);
        // Free the failed attempt's connection before the wait, not after it.
        last?.drop();
        last = new KeptOutcome(outcome, this.#deps.memory);
        previousMs = step.backoffMs;
        if (!(await this.#sleep(delayMs, call, all, paid))) return last.take();
      }
    } finally {
      last?.drop();
    }
  }

  /** An outcome that is not to be retried; where only the method or the upstream's veto was in the way, that is said. */
  #end({ outcome, verdict, call, last, paid }: Ended): Reply {
    const { because } = verdict;
    if (because === 'rejected') this.#deps.budget.refund(paid);
    if (because === 'rejected' && last !== undefined) return ownRefusal(outcome, last, call);
    if (because === 'not_idempotent' || because === 'veto' || because === 'permanent')
      return denied(outcome, because, call);
    return unwrap(outcome);
  }

  /** A client's retry costs what ours do. Where the budget's upper half cannot pay for it, it goes through all the same, but only once. */
  #charge({ clientRetries = 0 }: Call): { paid: number; owing: boolean } {
    const { budget, clock } = this.#deps;
    if (clientRetries === 0) return FREE;
    const owing = !budget.withdrawForClient(clock.now());
    return { paid: owing ? 0 : RETRY_COST, owing };
  }

  #attempt(call: Call, all: Attempt, number: number, owing: boolean): Attempt {
    const last = owing || number >= this.#options.attempts || !isRepeatable(call);
    const tally = this.#deps.hedged === true ? { hedges: 0 } : undefined;
    return all.with({ number, last, tally });
  }

  #next({ outcome, verdict, call, attempt }: FailedAttempt, previousMs: number): Step {
    const { clock, random } = this.#deps;
    const failed = {
      outcome,
      verdict,
      attempt: sentSoFar(attempt),
      previousMs,
      replayable: call.body.replayable,
      deadline: attempt.deadline,
      now: clock.now(),
      wallNow: clock.wallTime(),
    };
    return nextStep(failed, this.#options, random);
  }

  /** What others have to say; the budget comes last because asking it spends from it. */
  #deny({ cost, delayMs }: RetryStep, { sendBefore }: Attempt, owing: boolean): RetryDenial | undefined {
    const { budget, clock, trip } = this.#deps;
    const now = clock.now();
    if (now + delayMs >= sendBefore) return 'signature_age';
    const tripped = trip.reason(now);
    if (tripped !== undefined) return tripped;
    if (cost > 0 && (owing || !budget.withdraw(now, cost))) return 'budget';
    return undefined;
  }

  /** False when the wait became pointless. A token that buys no attempt is given back. */
  async #sleep(delayMs: number, call: Call, { signal }: Attempt, paid: number): Promise<boolean> {
    const { budget, clock, trip } = this.#deps;
    let ended: RetryDenial | undefined = 'client_gone';
    try {
      ended = await trip.sleep(clock, delayMs, signal);
    } finally {
      if (ended !== undefined) {
        budget.refund(paid);
        call.journal.note('retry_denied', ended);
      }
    }
    return ended === undefined;
  }
}

/** A client's first request. */
const FREE = { paid: 0, owing: false } as const;

/** Attempts of the whole call, the hedge beside this one included. */
function sentSoFar({ number, tally }: Attempt): number {
  return number + (tally?.hedges ?? 0);
}

/** The outcome stands, and why. */
function denied(outcome: Outcome, reason: RetryDenial, call: Call): Reply {
  call.journal.note('retry_denied', reason);
  return unwrap(outcome);
}

/** We refused our own retry: the upstream's last word then tells the client more than our refusal does. */
function ownRefusal(outcome: Outcome, last: KeptOutcome, call: Call): Reply {
  if (outcome.kind === 'reply') return unwrap(outcome);
  const { error } = outcome;
  call.journal.note('retry_denied', gaveUpBecause(error));
  return last.take(error);
}

/** A failed outcome put aside during backoff, to be the answer after all if no attempt brings a better one. */
class KeptOutcome {
  readonly #reply: BufferedReply | undefined;
  readonly #error: ProxyError | undefined;

  constructor(outcome: Outcome, memory: ByteBudget) {
    if (outcome.kind === 'reply') this.#reply = new BufferedReply(outcome.reply, memory);
    else this.#error = outcome.error;
  }

  /** Returns the reply or throws the error that was put aside; `refusal` where the reply was too large to keep. */
  take(refusal?: ProxyError): Reply {
    if (this.#error !== undefined) throw this.#error;
    const reply = this.#reply?.take();
    if (reply !== undefined) return reply;
    throw (
      refusal ??
      new ProxyError(
        'breaker_open',
        'the backoff was interrupted, and the failed reply was too large to buffer',
      )
    );
  }

  drop(): void {
    this.#reply?.drop();
  }
}
