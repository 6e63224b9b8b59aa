import type { RouteConfig, UpstreamConfig } from '../config/config.ts';
import { type WaitRange, waitRange } from '../policies/retry/backoff.ts';
import { type ClassifiedOutcome, classify } from '../policies/retry/classify.ts';
import type { RetryOptions } from '../policies/retry/options.ts';
import { ProxyError } from '../proxy/errors.ts';

/** Which failures of a call lead to another attempt. */
export interface RetryRule {
  /** All calls of the method, or those with or without an idempotency key. */
  readonly calls: 'all' | 'with_key' | 'without_key';
  /** Whether a failure before any request byte was sent is retried. */
  readonly notSent: boolean;
  /** Whether a failure after request bytes were sent, without an answer, is retried. */
  readonly sentUnknown: boolean;
  readonly statuses: readonly number[];
  /** gRPC errors (trailers-only) after which every call is retried. */
  readonly grpc: readonly string[];
}

/** The retry rules of a method. They are asked of the policy itself, so that they are always true. */
export function retryRules(method: string, retry: RetryOptions): RetryRule[] {
  if (retry.attempts === 1) return [];
  const ruleOf = (calls: RetryRule['calls'], idempotencyKey: string | undefined): RetryRule => {
    const retried = (outcome: ClassifiedOutcome): boolean =>
      classify(outcome, { method, safe: retry.safe, idempotencyKey }, retry, 1).retry === 'yes';
    return {
      calls,
      notSent: retried(failed('connection_refused', 'not_sent')),
      sentUnknown: retried(failed('connection_terminated', 'sent_unknown')),
      grpc: [...retry.grpcStatuses],
      statuses: ERROR_STATUSES.filter((status) => retried({ kind: 'reply', reply: { status, headers: [] } })),
    };
  };
  const withKey = ruleOf('with_key', 'key');
  const withoutKey = ruleOf('without_key', undefined);
  const same =
    withKey.sentUnknown === withoutKey.sentUnknown && withKey.statuses.length === withoutKey.statuses.length;
  if (same || retry.idempotencyKey === 'none') return [{ ...withoutKey, calls: 'all' }];
  // With `inject` and `require` every call has a key.
  return retry.idempotencyKey === 'pass' ? [withKey, withoutKey] : [{ ...withKey, calls: 'all' }];
}

/** Sent by a server before it processes the request, so it comes at once. */
const MISDIRECTED = 421;
const ERROR_STATUSES = Array.from({ length: 200 }, (_, index) => 400 + index);

function failed(
  code: 'connection_refused' | 'connection_terminated',
  sent: 'not_sent' | 'sent_unknown',
): ClassifiedOutcome {
  return { kind: 'error', error: new ProxyError(code, code, { sent }) };
}

/** The waits of a call whose attempts all fail. */
export interface Schedule {
  /** The first is the wait before attempt 2. */
  readonly waits: readonly WaitRange[];
  readonly sum: WaitRange;
  /** Latest start of the last attempt: every wait and every earlier attempt takes its longest time. */
  readonly lastStartsMs: number;
  /** Latest end of the call. */
  readonly endsMs: number;
}

/** `overloaded`: after 429, 503 and 529 the first wait is longer. */
export function retrySchedule(
  { settings }: RouteConfig,
  failedAttemptMs: number,
  overloaded: boolean,
): Schedule {
  const { retry, totalTimeoutMs } = settings;
  const { waits, sum } = scheduleOf(retry, overloaded);
  const lastStartsMs = sum.maxMs + waits.length * failedAttemptMs;
  return { waits, sum, lastStartsMs, endsMs: totalTimeoutMs };
}

/** The waits between attempts that all fail, and their sum. */
export function scheduleOf(
  { attempts, backoff }: Pick<RetryOptions, 'attempts' | 'backoff'>,
  overloaded: boolean,
): Pick<Schedule, 'waits' | 'sum'> {
  const waits = Array.from({ length: attempts - 1 }, (_, index) => waitRange(index + 1, backoff, overloaded));
  const sum = waits.reduce(
    (all, wait) => ({
      minMs: all.minMs + wait.minMs,
      medianMs: all.medianMs + wait.medianMs,
      maxMs: all.maxMs + wait.maxMs,
    }),
    { minMs: 0, medianMs: 0, maxMs: 0 },
  );
  return { waits, sum };
}

/** Longest time of an attempt that is retried. */
export function longestFailedAttempt(
  rules: readonly RetryRule[],
  { connection }: UpstreamConfig,
  { settings }: RouteConfig,
): number {
  const { attemptTimeoutMs = settings.totalTimeoutMs } = settings;
  if (rules.some(({ sentUnknown }) => sentUnknown)) return attemptTimeoutMs;
  // A timeout is not retried here; only an answer or a failed connection is.
  const late = rules.some(({ statuses }) => statuses.some((status) => status !== MISDIRECTED));
  return late ? attemptTimeoutMs : connection.connectTimeoutMs;
}
