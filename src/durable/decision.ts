import { leavesOpen } from '../http/status.ts';
import type { ProxyError } from '../proxy/errors.ts';
import type { Random } from '../runtime/random.ts';
import { type JobErrorCode, type WaitReason, waitCause } from './job.ts';
import type { WaitRefusal } from './refusal.ts';
import type { AttemptResult, Classification } from './route.ts';
import type { Next } from './store/store.ts';
import type { PollState } from './until/state.ts';

/** The decision after an attempt, with the state that the next attempt needs. */
export interface Decision {
  readonly next: Next;
  /** The chosen wait in milliseconds. Undefined if the request ends. */
  readonly waitMs: number | undefined;
  readonly reason: WaitReason | JobErrorCode | undefined;
  readonly runnerState: Partial<RunnerState> | undefined;
}

/** State of a request that is stored as JSON between its attempts. */
export interface RunnerState {
  readonly previousMs: number;
  /** Tokens that the next attempt takes from the retry budget. */
  readonly cost: number;
  /** The change that an operator must make before the request can be sent. Undefined if none. */
  readonly obstacle?: string | undefined;
  /**
   * The target that may have processed the request, so that no other one may get it. Empty: its upstream had none, or nothing says which
   * one. Undefined: every one may.
   */
  readonly boundTo?: string | undefined;
  /** Its upstream had several targets when it was accepted. */
  readonly hadTargets?: boolean | undefined;
  /** Undefined before the first successful reply, and on routes that do not poll. */
  readonly poll?: PollState | undefined;
}

export interface DecideOptions {
  readonly retentionMs: number;
  readonly random: Random;
}

/** The decision after an attempt of a durable request: a further attempt, or the end. */
export function decide(
  result: AttemptResult,
  classification: Classification,
  options: DecideOptions,
): Decision {
  const { now, deadlineAt } = result;
  const { retentionMs } = options;
  switch (classification.kind) {
    case 'success':
      return end({ now, retentionMs }, 'succeeded');
    case 'refused': {
      const { error, refusal } = classification;
      if (refusal.kind === 'wait')
        return deferral(error, refusal, { now, deadlineAt, random: options.random });
      return end({ now, retentionMs }, refusal.code, `Not sent: ${error.message}`);
    }
    case 'retry': {
      const { delayMs, backoffMs, asked, cost } = classification;
      const reason = asked ? 'retry_after' : 'backoff';
      return {
        next: { kind: 'wait', dueAt: Math.ceil(now + delayMs), reason, counts: true },
        waitMs: delayMs,
        reason,
        runnerState: { previousMs: backoffMs, cost, obstacle: undefined },
      };
    }
    case 'stop':
      return failure(result, classification.because, options);
  }
}

/** Ends the request without a further attempt. `title` replaces the standard text of the code. */
export function end(
  { now, retentionMs }: { readonly now: number; readonly retentionMs: number },
  how: 'succeeded' | JobErrorCode,
  title?: string,
): Decision {
  const purgeAt = now + retentionMs;
  if (how === 'succeeded')
    return {
      next: { kind: 'end', status: how, purgeAt },
      waitMs: undefined,
      reason: undefined,
      runnerState: undefined,
    };
  const status = how === 'cancelled' ? 'cancelled' : 'failed';
  const error = { code: how, title: title ?? TITLES[how] };
  return {
    next: { kind: 'end', status, error, purgeAt },
    waitMs: undefined,
    reason: how,
    runnerState: undefined,
  };
}

const TITLES: Readonly<Record<JobErrorCode, string>> = {
  exhausted: 'All attempts failed',
  deadline: 'The deadline has passed',
  not_retryable: 'The reply is a permanent error; retrying would not change it',
  condition_failed: 'The reply reports a failure',
  unknown_outcome:
    'Outcome unknown: the upstream may have processed the request, and repeating it is not safe',
  unwritable: 'The store could not save the result; the request is not sent again',
  cancelled: 'Cancelled',
};

type Because = Extract<Classification, { kind: 'stop' }>['because'];

function failure(result: AttemptResult, because: Because, options: DecideOptions): Decision {
  const [code, title] = failureOf(result, because);
  return end({ now: result.now, ...options }, code, title);
}

function failureOf(result: AttemptResult, because: Because): [JobErrorCode, title?: string | undefined] {
  switch (because) {
    case 'attempts':
      return ['exhausted'];
    case 'deadline':
      return ['deadline'];
    case 'not_idempotent':
      return ['unknown_outcome', unknownTitle(result)];
    case 'not_retryable':
      return notRetryable(result);
    case 'veto':
      return ['not_retryable', 'The reply forbids a retry'];
    case 'permanent':
    case 'retry_after_too_long':
    case 'body_not_replayable':
      return ['not_retryable'];
  }
}

/**
 * A reply that leaves the outcome open does not say whether the request was processed. All other replies refuse it.
 */
function notRetryable(result: AttemptResult): [JobErrorCode, title?: string | undefined] {
  const { outcome, repeatable } = result;
  if (outcome.kind === 'error') return ['unknown_outcome'];
  const { status } = outcome.reply;
  if (!leavesOpen(status)) return ['not_retryable'];
  if (!repeatable) return ['unknown_outcome', unknownTitle(result)];
  return ['not_retryable', `The upstream replied ${status}, which the rules of the route do not retry`];
}

/** Undefined without a reply: the standard text of the code applies. */
function unknownTitle({ outcome }: AttemptResult): string | undefined {
  if (outcome.kind === 'error') return undefined;
  return `Outcome unknown: the upstream replied ${outcome.reply.status} and may have processed the request; without an idempotency key it is not repeated`;
}

/** A wait is extended by a random share up to this, so that requests refused together do not return together. */
const SPREAD = 0.5;

/** Nothing was sent: the request waits for `reason`, and no attempt is counted. */
export function deferral(
  { message, retryAfterMs }: Pick<ProxyError, 'message' | 'retryAfterMs'>,
  { reason, comeBackMs }: WaitRefusal,
  { now, deadlineAt, random }: { now: number; deadlineAt: number; random: Random },
): Decision {
  const floorMs = Math.max(retryAfterMs ?? comeBackMs, comeBackMs / 2);
  const waitMs = floorMs * (1 + SPREAD * random());
  // The request is checked once more at its deadline, and ends then.
  const dueAt = Math.min(Math.ceil(now + waitMs), deadlineAt);
  const runnerState = waitCause(reason) === 'person' ? { obstacle: message } : undefined;
  return { next: { kind: 'wait', dueAt, reason, counts: false }, waitMs, reason, runnerState };
}
