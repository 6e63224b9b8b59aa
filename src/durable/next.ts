import type { ProxyError } from '../proxy/errors.ts';
import type { Random } from '../runtime/random.ts';
import type { JobErrorCode, WaitReason } from './job.ts';
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
    case 'refused':
      return deferral(judgement.error, { now, deadlineAt, random: options.random });
    case 'retry': {
      const { delayMs, backoffMs, asked, cost } = judgement;
      const reason = asked ? 'retry_after' : 'backoff';
      return {
        next: { kind: 'wait', dueAt: Math.ceil(now + delayMs), reason, counts: true },
        waitMs: delayMs,
        reason,
        memo: { previousMs: backoffMs, cost },
      };
    }
    case 'stop':
      return end({ now, ...options }, failure(ended, judgement.because));
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
  exhausted: 'All attempts have failed',
  deadline: 'The deadline has passed',
  not_retryable: 'The reply says no, and asking again would not change it',
  condition_failed: 'The reply says that it has failed',
  unknown_outcome: 'Nobody knows whether the upstream has acted on it, and it may not be repeated',
  unwritable: 'The store could not keep what came of it, so that it is not sent again',
  cancelled: 'Cancelled',
};

function failure({ outcome }: Ended, because: Extract<Judgement, { kind: 'stop' }>['because']): JobErrorCode {
  switch (because) {
    case 'attempts':
      return 'exhausted';
    case 'deadline':
      return 'deadline';
    case 'not_idempotent':
      // Answered, it is known what became of it.
      return outcome.kind === 'error' ? 'unknown_outcome' : 'not_retryable';
    case 'not_retryable':
    case 'retry_after_too_long':
    case 'body_not_replayable':
      return 'not_retryable';
  }
}

/** Where nobody says when to come back. */
const COME_BACK_MS = 1_000;

/** Waits are spread upwards by up to this share, so that those who were refused together do not return together. */
const SPREAD = 0.5;

/** Nothing was sent: the request waits, with a reason, and no attempt is counted. */
export function deferral(
  { code, retryAfterMs }: Pick<ProxyError, 'code' | 'retryAfterMs'>,
  { now, deadlineAt, random }: { now: number; deadlineAt: number; random: Random },
): Decision {
  const reason = reasonOf(code);
  const floorMs = code === 'draining' ? 0 : Math.max(retryAfterMs ?? COME_BACK_MS, COME_BACK_MS / 2);
  const waitMs = floorMs * (1 + SPREAD * random());
  // At the deadline it is looked at once more, and ends.
  const dueAt = Math.min(Math.ceil(now + waitMs), deadlineAt);
  return { next: { kind: 'wait', dueAt, reason, counts: false }, waitMs, reason, memo: undefined };
}

function reasonOf(code: ProxyError['code']): WaitReason {
  if (code === 'breaker_open') return 'breaker_open';
  return code.startsWith('quota') || code.startsWith('rate') ? 'quota' : 'concurrency';
}
