import { leavesOpen } from '../http/status.ts';
import type { ProxyError } from '../proxy/errors.ts';
import type { Random } from '../runtime/random.ts';
import type { WaitRefusal } from './fates.ts';
import { type JobErrorCode, type WaitReason, waitCause } from './job.ts';
import type { Ended, Judgement } from './route.ts';
import type { Next } from './store/store.ts';
import type { PollState } from './until/state.ts';

/** What follows, and what is remembered of it. */
export interface Decision {
  readonly next: Next;
  /** The wait that was chosen; undefined at the end. */
  readonly waitMs: number | undefined;
  readonly reason: WaitReason | JobErrorCode | undefined;
  readonly memo: Partial<Memo> | undefined;
}

/** What a further attempt must know of the one before. */
export interface Memo {
  readonly previousMs: number;
  /** What it will take from the retry budget. */
  readonly cost: number;
  /** What a person has to change before it can be sent; undefined where nothing. */
  readonly obstacle?: string | undefined;
  /** Undefined before the first good answer, and where that is the final one. */
  readonly poll?: PollState | undefined;
}

export interface DecideOptions {
  readonly retentionMs: number;
  readonly random: Random;
}

/** THE decision after an attempt of a durable request: when another one follows, or how the request ends. */
export function decide(ended: Ended, judgement: Judgement, options: DecideOptions): Decision {
  const { now, deadlineAt } = ended;
  switch (judgement.kind) {
    case 'success':
      return end({ now, ...options }, 'succeeded');
    case 'refused': {
      const { error, refusal } = judgement;
      if (refusal.kind === 'wait')
        return deferral(error, refusal, { now, deadlineAt, random: options.random });
      return end({ now, ...options }, refusal.code, `Not sent: ${error.message}`);
    }
    case 'retry': {
      const { delayMs, backoffMs, asked, cost } = judgement;
      const reason = asked ? 'retry_after' : 'backoff';
      return {
        next: { kind: 'wait', dueAt: Math.ceil(now + delayMs), reason, counts: true },
        waitMs: delayMs,
        reason,
        memo: { previousMs: backoffMs, cost, obstacle: undefined },
      };
    }
    case 'stop':
      return failure(ended, judgement.because, options);
  }
}

/** A request that ends without a further attempt; `title`: more than its code says. */
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
      memo: undefined,
    };
  const status = how === 'cancelled' ? 'cancelled' : 'failed';
  const error = { code: how, title: title ?? TITLES[how] };
  return { next: { kind: 'end', status, error, purgeAt }, waitMs: undefined, reason: how, memo: undefined };
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

type Because = Extract<Judgement, { kind: 'stop' }>['because'];

function failure(ended: Ended, because: Because, options: DecideOptions): Decision {
  const [code, title] = failureOf(ended, because);
  return end({ now: ended.now, ...options }, code, title);
}

function failureOf(ended: Ended, because: Because): [JobErrorCode, title?: string | undefined] {
  switch (because) {
    case 'attempts':
      return ['exhausted'];
    case 'deadline':
      return ['deadline'];
    case 'not_idempotent':
      return ['unknown_outcome', unknownTitle(ended)];
    case 'not_retryable':
      return notRetryable(ended);
    case 'veto':
      return ['not_retryable', 'The reply forbids a retry'];
    case 'permanent':
    case 'retry_after_too_long':
    case 'body_not_replayable':
      return ['not_retryable'];
  }
}

/** A reply that leaves the outcome open says only that something broke, at a moment that is not known. All others say no. */
function notRetryable(ended: Ended): [JobErrorCode, title?: string | undefined] {
  const { outcome, repeatable } = ended;
  if (outcome.kind === 'error') return ['unknown_outcome'];
  const { status } = outcome.reply;
  if (!leavesOpen(status)) return ['not_retryable'];
  if (!repeatable) return ['unknown_outcome', unknownTitle(ended)];
  return ['not_retryable', `The upstream replied ${status}, which the rules of the route do not retry`];
}

/** Undefined without a reply: then the usual sentence holds. */
function unknownTitle({ outcome }: Ended): string | undefined {
  if (outcome.kind === 'error') return undefined;
  return `Outcome unknown: the upstream replied ${outcome.reply.status} and may have processed the request; without an idempotency key it is not repeated`;
}

/** Waits are spread upwards by up to this share, so that those who were refused together do not return together. */
const SPREAD = 0.5;

/** Nothing was sent: the request waits, with a reason, and no attempt is counted. */
export function deferral(
  { message, retryAfterMs }: Pick<ProxyError, 'message' | 'retryAfterMs'>,
  { reason, comeBackMs }: WaitRefusal,
  { now, deadlineAt, random }: { now: number; deadlineAt: number; random: Random },
): Decision {
  const floorMs = Math.max(retryAfterMs ?? comeBackMs, comeBackMs / 2);
  const waitMs = floorMs * (1 + SPREAD * random());
  // At the deadline it is looked at once more, and ends.
  const dueAt = Math.min(Math.ceil(now + waitMs), deadlineAt);
  const memo = waitCause(reason) === 'person' ? { obstacle: message } : undefined;
  return { next: { kind: 'wait', dueAt, reason, counts: false }, waitMs, reason, memo };
}
