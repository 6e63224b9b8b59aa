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
import { classify, isSuccess, type RetryDecision } from './classify.ts';
import type { RetryOptions } from './options.ts';
import { nextStep, type Step } from './step.ts';
import type { BackoffInterrupt } from './backoff-interrupt.ts';

export interface RetryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly budget: RetryBudget;
  readonly interrupt: BackoffInterrupt;
  /** Bounds the memory of failed replies that are buffered during backoff. */
  readonly memory: ByteBudget;
  /** An attempt may be hedged; the hedge counts as an attempt. */
  readonly hedged?: boolean;
}

type Yes = Extract<RetryDecision, { retry: 'yes' }>;
type No = Extract<RetryDecision, { retry: 'no' }>;

/** A failed attempt whose kind of failure allows a retry. */
interface FailedAttempt {
  readonly outcome: Outcome;
  readonly decision: Yes;
  readonly call: Call;
  readonly attempt: Attempt;
  /** Attempts of the call so far, including a parallel second one. */
  readonly sent: number;
}

/** The next attempt of a call. */
interface Numbered {
  /** 1 for the first. Parallel attempts of other policies do not count. */
  readonly own: number;
  readonly tally: Attempt['tally'];
  /** A retry of the client's own, which the budget could not pay for. */
  readonly owing: boolean;
}

/** A call whose last attempt is not retried. */
interface FinalOutcome {
  readonly outcome: Outcome;
  readonly decision: No;
  readonly call: Call;
  readonly last: BufferedOutcome | undefined;
  readonly paid: number;
}

/**
 * Retries a failed attempt while the kind of failure, the number of attempts, the deadline, the breaker and the budget allow it.
 * Otherwise it returns the last outcome; a reply is passed on unchanged.
 */
export function retry(options: RetryOptions, deps: RetryDeps): Policy {
  const loop = new RetryLoop(options, deps);
  return (next) => (call, attempt) => {
    const { overrides } = call;
    if (overrides === undefined) return loop.run(next, call, attempt);
    // Overrides of the client replace the route's values; they are within the route's limits.
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
    let last: BufferedOutcome | undefined;
    let previousMs = 0;
    const charged = this.#charge(call);
    let { paid } = charged;
    const tally = this.#tally();
    try {
      for (let own = 1; ; own++) {
        const current = this.#attempt(call, all, { own, tally, owing: charged.owing });
        const outcome = await settle(next, call, current);
        const sent = sentSoFar(own, tally);
        const decision = classify(outcome, call, this.#options, current.number);
        if (isSuccess(outcome, decision)) this.#deps.budget.deposit();
        if (decision.retry === 'no') return this.#end({ outcome, decision, call, last, paid });

        const step = this.#next({ outcome, decision, call, attempt: current, sent }, previousMs);
        if (step.kind === 'stop') return denied(outcome, step.because, call);
        const denial = this.#deny(step, all, charged.owing);
        if (denial !== undefined) return denied(outcome, denial, call);

        const { delayMs, reason } = step;
        paid = step.cost;
        call.journal.retryScheduled(sent + 1, delayMs, reason);
        // Frees the connection of the failed attempt before the wait, not after it.
        last?.drop();
        last = new BufferedOutcome(outcome, this.#deps.memory);
        previousMs = step.backoffMs;
        if (!(await this.#sleep(delayMs, call, all, paid))) return last.take();
      }
    } finally {
      last?.drop();
    }
  }

  /** Ends a call whose outcome is not retried. Notes the reason if the failure itself would have allowed a retry. */
  #end({ outcome, decision, call, last, paid }: FinalOutcome): Reply {
    const { because } = decision;
    if (because === 'rejected') this.#deps.budget.refund(paid);
    if (because === 'rejected' && last !== undefined) return ownRefusal(outcome, last, call);
    if (because === 'not_idempotent' || because === 'veto' || because === 'permanent')
      return denied(outcome, because, call);
    return unwrap(outcome);
  }

  /** Charges a client's own retry like a retry of this proxy. If the upper half of the budget cannot pay, the call has one attempt. */
  #charge({ clientRetries = 0 }: Call): { paid: number; owing: boolean } {
    const { budget, clock } = this.#deps;
    if (clientRetries === 0) return FREE;
    const owing = !budget.withdrawForClient(clock.now());
    return { paid: owing ? 0 : RETRY_COST, owing };
  }

  /** One for the whole call, so that a policy knows the parallel attempts of earlier attempts. */
  #tally(): Attempt['tally'] {
    return this.#deps.hedged === true ? { hedges: 0 } : undefined;
  }

  #attempt(call: Call, all: Attempt, { own, tally, owing }: Numbered): Attempt {
    const number = sentSoFar(own, tally);
    const last = owing || number >= this.#options.attempts || !isRepeatable(call);
    return all.with({ number, last, tally });
  }

  #next({ outcome, decision, call, attempt, sent }: FailedAttempt, previousMs: number): Step {
    const { clock, random } = this.#deps;
    const failed = {
      outcome,
      decision,
      attempt: sent,
      previousMs,
      replayable: call.body.replayable,
      deadline: attempt.deadline,
      now: clock.now(),
      wallNow: clock.wallTime(),
    };
    return nextStep(failed, this.#options, random);
  }

  /** Why there is no retry, by signature, breaker and budget. The budget comes last, because asking it spends from it. */
  #deny(
    { cost, delayMs }: RetryStep,
    { signatureExpiresAt }: Attempt,
    owing: boolean,
  ): RetryDenial | undefined {
    const { budget, clock, interrupt } = this.#deps;
    const now = clock.now();
    if (now + delayMs >= signatureExpiresAt) return 'signature_age';
    const interrupted = interrupt.reason(now);
    if (interrupted !== undefined) return interrupted;
    if (cost > 0 && (owing || !budget.withdraw(now, cost))) return 'budget';
    return undefined;
  }

  /** False if the backoff was interrupted. Then the token is refunded. */
  async #sleep(delayMs: number, call: Call, { signal }: Attempt, paid: number): Promise<boolean> {
    const { budget, clock, interrupt } = this.#deps;
    let ended: RetryDenial | undefined = 'client_gone';
    try {
      ended = await interrupt.sleep(clock, delayMs, signal);
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

/** Attempts of the whole call: those of the retry loop, and parallel ones. */
function sentSoFar(own: number, tally: Attempt['tally']): number {
  return own + (tally?.hedges ?? 0);
}

/** Returns or throws the outcome, and notes why it is not retried. */
function denied(outcome: Outcome, reason: RetryDenial, call: Call): Reply {
  call.journal.note('retry_denied', reason);
  return unwrap(outcome);
}

/** The proxy refused its own retry. The client gets the upstream's last outcome, which says more than the refusal. */
function ownRefusal(outcome: Outcome, last: BufferedOutcome, call: Call): Reply {
  if (outcome.kind === 'reply') return unwrap(outcome);
  const { error } = outcome;
  call.journal.note('retry_denied', gaveUpBecause(error));
  return last.take(error);
}

/** A failed outcome that is buffered during backoff. It is the answer if no later attempt brings a better one. */
class BufferedOutcome {
  readonly #reply: BufferedReply | undefined;
  readonly #error: ProxyError | undefined;

  constructor(outcome: Outcome, memory: ByteBudget) {
    if (outcome.kind === 'reply') this.#reply = new BufferedReply(outcome.reply, memory);
    else this.#error = outcome.error;
  }

  /** Returns the buffered reply, or throws the error. Throws `refusal` if the reply was too large to buffer. */
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
