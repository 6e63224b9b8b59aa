import { askedWaitMs } from '../../http/retry-after.ts';
import type { RetryStep } from '../../proxy/events.ts';
import type { RetryDenial } from '../../proxy/gave-up.ts';
import type { Random } from '../../runtime/random.ts';
import { backoffMs, retryDelayMs } from './backoff.ts';
import { ASKED_RETRY_COST, RETRY_COST } from './budget.ts';
import type { ClassifiedOutcome, RetryVerdict } from './classify.ts';
import type { RetryOptions } from './options.ts';

/** A failed attempt that may by its nature be followed by another, and where its call stands. */
export interface Failed {
  readonly outcome: ClassifiedOutcome;
  readonly verdict: Extract<RetryVerdict, { retry: 'yes' }>;
  /** How many attempts the call has had, this one included. */
  readonly attempt: number;
  /** The backoff before this attempt (not a wait that the upstream asked for), 0 for the first. */
  readonly previousMs: number;
  /** The request's body can be sent again. */
  readonly replayable: boolean;
  /** On the same scale as `now`: an attempt that would not begin before it is not made. */
  readonly deadline: number;
  readonly now: number;
  /** Milliseconds since the epoch, for replies that name a date. */
  readonly wallNow: number;
}

/** What follows a failed attempt. */
export type Step =
  | RetryStep
  | {
      readonly kind: 'stop';
      readonly because: Extract<
        RetryDenial,
        'attempts' | 'body_not_replayable' | 'retry_after_too_long' | 'deadline'
      >;
    };

type StepOptions = Pick<RetryOptions, 'attempts' | 'backoff' | 'retryAfterMaxMs'>;

/**
 * The one decision after a failed attempt: another one and when, or none and why. Breaker and budget, which belong to
 * others too, are asked by the caller.
 */
export function nextStep(failed: Failed, options: StepOptions, random: Random): Step {
  const { outcome, verdict, attempt, previousMs } = failed;
  const { overloaded, reason, transparent } = verdict;
  const ownMs = backoffMs({ retry: attempt, previousMs, overloaded }, options.backoff, random);
  const askedMs = outcome.kind === 'reply' ? askedWaitMs(outcome.reply, failed.wallNow) : undefined;
  const delayMs = retryDelayMs({ backoffMs: ownMs, retryAfterMs: askedMs, random });
  const asked = askedMs !== undefined && askedMs > ownMs;
  if (attempt >= options.attempts) return { kind: 'stop', because: 'attempts' };
  if (!failed.replayable) return { kind: 'stop', because: 'body_not_replayable' };
  if (asked && delayMs > options.retryAfterMaxMs) return { kind: 'stop', because: 'retry_after_too_long' };
  if (failed.now + delayMs >= failed.deadline) return { kind: 'stop', because: 'deadline' };
  const cost = asked ? ASKED_RETRY_COST : RETRY_COST;
  return { kind: 'retry', delayMs, backoffMs: ownMs, asked, cost: transparent ? 0 : cost, reason };
}
