import { askedWaitMs } from '../../http/retry-after.ts';
import type { RetryStep } from '../../proxy/events.ts';
import type { RetryDenial } from '../../proxy/gave-up.ts';
import type { Detour } from '../../proxy/trail.ts';
import type { Random } from '../../runtime/random.ts';
import { backoffMs, retryDelayMs } from './backoff.ts';
import { ASKED_RETRY_COST, RETRY_COST } from './budget.ts';
import type { ClassifiedOutcome, RetryDecision } from './classify.ts';
import type { RetryOptions } from './options.ts';

/** A failed attempt whose kind of failure allows a retry, and the state of its call. */
export interface Failed {
  readonly decision: Extract<RetryDecision, { retry: 'yes' }>;
  /** Attempts of the call so far, this one included. */
  readonly attempt: number;
  /** Milliseconds of backoff before this attempt, without a wait that the upstream asked for; 0 for the first. */
  readonly previousMs: number;
  /** The request's body can be sent again. */
  readonly replayable: boolean;
  /** On the scale of `now`. No attempt begins at this moment or later. */
  readonly deadline: number;
  readonly now: number;
  /** Milliseconds of the wait that the upstream asks for; undefined if it asks for none. */
  readonly askedMs: number | undefined;
  /** Another target that can take the call; undefined: none. */
  readonly detour?: Detour | undefined;
}

/** A retry, or the reason why there is none. */
export type Step =
  | RetryStep
  | {
      readonly kind: 'stop';
      readonly because: Extract<
        RetryDenial,
        'attempts' | 'body_not_replayable' | 'retry_after_too_long' | 'deadline'
      >;
    };

/** The wait that an outcome asks for, in milliseconds. `wallNow`: since the epoch, for a Retry-After with a date. */
export const askedBy = (outcome: ClassifiedOutcome, wallNow: number): number | undefined =>
  outcome.kind === 'reply' ? askedWaitMs(outcome.reply, wallNow) : undefined;

type StepOptions = Pick<RetryOptions, 'attempts' | 'backoff' | 'retryAfterMaxMs'>;

/**
 * Decides whether and when a failed attempt is retried. The caller asks breaker and budget, because calls share them.
 */
export function nextStep(failed: Failed, options: StepOptions, random: Random): Step {
  if (failed.attempt >= options.attempts) return { kind: 'stop', because: 'attempts' };
  if (!failed.replayable) return { kind: 'stop', because: 'body_not_replayable' };
  const here = stepHere(failed, options, random);
  const elsewhere = whenReady(failed, options);
  if (elsewhere === undefined) return here;
  return here.kind === 'stop' || elsewhere.delayMs < here.delayMs ? elsewhere : here;
}

function stepHere(failed: Failed, options: StepOptions, random: Random): Step {
  const { askedMs, decision, attempt, previousMs } = failed;
  const { overloaded, reason, transparent } = decision;
  const ownMs = backoffMs({ retry: attempt, previousMs, overloaded }, options.backoff, random);
  const delayMs = retryDelayMs({ backoffMs: ownMs, retryAfterMs: askedMs, random });
  const asked = askedMs !== undefined && askedMs > ownMs;
  if (asked && delayMs > options.retryAfterMaxMs) return { kind: 'stop', because: 'retry_after_too_long' };
  if (failed.now + delayMs >= failed.deadline) return { kind: 'stop', because: 'deadline' };
  const cost = asked ? ASKED_RETRY_COST : RETRY_COST;
  return { kind: 'retry', delayMs, backoffMs: ownMs, asked, cost: transparent ? 0 : cost, reason };
}

/** For a failure that allows no retry: only another target may take the call. Undefined if none can. */
export function stepElsewhere(failed: Omit<Failed, 'decision'>, options: StepOptions): RetryStep | undefined {
  return failed.attempt < options.attempts && failed.replayable ? whenReady(failed, options) : undefined;
}

/** Another target takes the call without a backoff, because it has not failed. */
function whenReady(
  { detour, previousMs, now, deadline }: Omit<Failed, 'decision'>,
  { retryAfterMaxMs }: StepOptions,
): RetryStep | undefined {
  if (detour === undefined || detour.inMs > retryAfterMaxMs || now + detour.inMs >= deadline)
    return undefined;
  const { inMs: delayMs, reason, sent } = detour;
  const cost = sent ? RETRY_COST : 0;
  return { kind: 'retry', delayMs, backoffMs: previousMs, asked: false, elsewhere: true, cost, reason };
}
