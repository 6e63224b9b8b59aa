import { KeptReply } from '../../http/kept-reply.ts';
import type { Reply } from '../../http/reply.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import { retryAfterMs } from '../../http/retry-after.ts';
import type { Call } from '../../proxy/call.ts';
import { type ErrorCode, ProxyError } from '../../proxy/errors.ts';
import type { RetryDenial } from '../../proxy/events.ts';
import { type Outcome, settle, unwrap } from '../../proxy/outcome.ts';
import type { Policy, Send } from '../../proxy/pipeline.ts';
import { Abort } from '../../runtime/abort.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Random } from '../../runtime/random.ts';
import { backoffMs, retryDelayMs } from './backoff.ts';
import { ASKED_RETRY_COST, RETRY_COST, type RetryBudget } from './budget.ts';
import { classify, isRepeatable, isSuccess, type RetryVerdict } from './classify.ts';
import type { RetryOptions } from './options.ts';
import type { Trip, TripReason } from './trip.ts';

export interface RetryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly budget: RetryBudget;
  readonly trip: Trip;
  /** Bounds the failed replies that are kept during backoff. */
  readonly memory: ByteBudget;
}

type Yes = Extract<RetryVerdict, { retry: 'yes' }>;
type No = Extract<RetryVerdict, { retry: 'no' }>;

/** A call whose last attempt will not be followed by another. */
interface Ended {
  readonly outcome: Outcome;
  readonly verdict: No;
  readonly call: Call;
  readonly last: KeptOutcome | undefined;
  readonly paid: number;
}

/** A wait before the next attempt. */
interface Wait {
  readonly delayMs: number;
  /** The jittered backoff alone, which decorrelated jitter grows from. */
  readonly backoffMs: number;
  /** Longer than our own backoff because the upstream asked for it. */
  readonly asked: boolean;
}

/**
 * Repeats a failed attempt while its nature, attempts, time, breaker and budget all allow it; otherwise the last
 * outcome stands, an upstream's reply as it came.
 */
export function retry(options: RetryOptions, deps: RetryDeps): Policy {
  const loop = new RetryLoop(options, deps);
  return (next) => (call) => loop.run(next, call);
}

class RetryLoop {
  readonly #options: RetryOptions;
  readonly #deps: RetryDeps;

  constructor(options: RetryOptions, deps: RetryDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  async run(next: Send, call: Call): Promise<Reply> {
    let last: KeptOutcome | undefined;
    let previousMs = 0;
    let paid = 0;
    try {
      for (let attempt = 1; ; attempt++) {
        const lastAttempt = attempt >= this.#options.attempts || !isRepeatable(call);
        const current = { ...call, attempt, lastAttempt };
        const outcome = await settle(next, current);
        const verdict = classify(outcome, current, this.#options);
        if (isSuccess(outcome, verdict)) this.#deps.budget.deposit();
        if (verdict.retry === 'no') return this.#end({ outcome, verdict, call, last, paid });

        const wait = this.#nextWait({ retry: attempt, previousMs }, outcome, verdict);
        paid = costOf(wait, verdict);
        const denial = this.#deny(current, wait, paid);
        if (denial !== undefined) return denied(outcome, denial, call);

        const { delayMs, asked } = wait;
        call.report({
          type: 'retry_scheduled',
          attempt: attempt + 1,
          delayMs,
          reason: verdict.reason,
          asked,
        });
        // Free the failed attempt's connection before the wait, not after it.
        last?.drop();
        last = new KeptOutcome(outcome, this.#deps.memory);
        previousMs = wait.backoffMs;
        if (!(await this.#sleep(delayMs, call, paid))) return last.take();
      }
    } finally {
      last?.drop();
    }
  }

  /** An outcome that is not to be retried; where only the method or the upstream's veto was in the way, that is said. */
  #end({ outcome, verdict, call, last, paid }: Ended): Reply {
    const { because } = verdict;
    if (because === 'rejected' && last !== undefined) {
      this.#deps.budget.refund(paid);
      return ownRefusal(outcome, last, call);
    }
    if (because === 'not_idempotent' || because === 'veto') return denied(outcome, because, call);
    return unwrap(outcome);
  }

  #nextWait(step: { retry: number; previousMs: number }, outcome: Outcome, { overloaded }: Yes): Wait {
    const { clock, random } = this.#deps;
    const ownMs = backoffMs({ ...step, overloaded }, this.#options.backoff, random);
    const askedMs =
      outcome.kind === 'reply' ? retryAfterMs(outcome.reply.headers, clock.wallTime()) : undefined;
    const delayMs = retryDelayMs({ backoffMs: ownMs, retryAfterMs: askedMs, random });
    return { delayMs, backoffMs: ownMs, asked: askedMs !== undefined && askedMs > ownMs };
  }

  /** Cheapest reason first; the budget comes last because asking it spends from it. */
  #deny(call: Call, { delayMs, asked }: Wait, cost: number): RetryDenial | undefined {
    const { budget, clock, trip } = this.#deps;
    const now = clock.now();
    if (call.attempt >= this.#options.attempts) return 'attempts';
    if (!call.body.replayable) return 'body_not_replayable';
    if (asked && delayMs > this.#options.retryAfterMaxMs) return 'retry_after_too_long';
    if (now + delayMs >= call.deadline) return 'deadline';
    const tripped = trip.reason(now);
    if (tripped !== undefined) return tripped;
    if (cost > 0 && !budget.withdraw(now, cost)) return 'budget';
    return undefined;
  }

  /** False when the wait became pointless. A token that buys no attempt is given back. */
  async #sleep(delayMs: number, call: Call, paid: number): Promise<boolean> {
    const { budget, clock, trip } = this.#deps;
    const wake = new Abort(call.signal);
    let tripped: TripReason | undefined;
    const onWake = (reason: TripReason) => {
      tripped = reason;
      wake.abort(WOKEN);
    };
    trip.onWake(onWake);
    try {
      await clock.sleep(delayMs, wake);
      return true;
    } catch (reason) {
      budget.refund(paid);
      call.report({ type: 'retry_denied', reason: tripped ?? 'client_gone' });
      if (tripped === undefined) throw reason;
      return false;
    } finally {
      trip.offWake(onWake);
      wake.detach();
    }
  }
}

/** Ends a sleep that was tripped; nobody else sees it. */
const WOKEN = new Error('woken from backoff');

function costOf({ asked }: Wait, { transparent }: Yes): number {
  if (transparent) return 0;
  return asked ? ASKED_RETRY_COST : RETRY_COST;
}

/** The outcome stands, and why. */
function denied(outcome: Outcome, reason: RetryDenial, call: Call): Reply {
  call.report({ type: 'retry_denied', reason });
  return unwrap(outcome);
}

const REFUSALS: Partial<Readonly<Record<ErrorCode, RetryDenial>>> = {
  concurrency_limit: 'concurrency',
  body_not_kept: 'body_not_replayable',
  draining: 'draining',
};

/** We refused our own retry: the upstream's last word then tells the client more than our refusal does. */
function ownRefusal(outcome: Outcome, last: KeptOutcome, call: Call): Reply {
  if (outcome.kind === 'reply') return unwrap(outcome);
  const { error } = outcome;
  call.report({ type: 'retry_denied', reason: REFUSALS[error.code] ?? 'breaker' });
  return last.take(error);
}

/** A failed outcome put aside during backoff, to be the answer after all if no attempt brings a better one. */
class KeptOutcome {
  readonly #reply: KeptReply | undefined;
  readonly #error: ProxyError | undefined;

  constructor(outcome: Outcome, memory: ByteBudget) {
    if (outcome.kind === 'reply') this.#reply = new KeptReply(outcome.reply, memory);
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
        'the wait for a retry was cut short, and the reply before it was too large to keep',
      )
    );
  }

  drop(): void {
    this.#reply?.drop();
  }
}
