import type { RouteConfig, UpstreamConfig } from '../config/config.ts';
import { type WaitRange, waitRange } from '../policies/retry/backoff.ts';
import { type ClassifiedOutcome, classify } from '../policies/retry/classify.ts';
import type { RetryOptions } from '../policies/retry/options.ts';
import { ProxyError } from '../proxy/errors.ts';

/** Which failures of a call lead to another attempt. */
export interface RetryRule {
  /** Which calls: all of the method, or those with or without a key. */
  readonly calls: 'all' | 'with_key' | 'without_key';
  /** No request byte left us. */
  readonly notSent: boolean;
  /** Bytes left, no answer came. */
  readonly sentUnknown: boolean;
  readonly statuses: readonly number[];
  /** Errors that are all of a reply to gRPC, for which any method is sent again. */
  readonly grpc: readonly string[];
}

/** Asks the policy itself, so that this can never say anything else than what happens. */
export function retryRules(method: string, retry: RetryOptions): RetryRule[] {
  if (retry.attempts === 1) return [];
  const ruleOf = (calls: RetryRule['calls'], idempotencyKey: string | undefined): RetryRule => {
    const retried = (outcome: ClassifiedOutcome): boolean =>
      classify(outcome, { method, safe: retry.safe, idempotencyKey, attempt: 1 }, retry).retry === 'yes';
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
  // `inject` makes a key and `require` demands one: no call is without.
  return retry.idempotencyKey === 'pass' ? [withKey, withoutKey] : [{ ...withKey, calls: 'all' }];
}

/** Said by a server that does not even look at the request, so it comes at once. */
const MISDIRECTED = 421;
const ERROR_STATUSES = Array.from({ length: 200 }, (_, index) => 400 + index);

function failed(
  code: 'connection_refused' | 'connection_terminated',
  sent: 'not_sent' | 'sent_unknown',
): ClassifiedOutcome {
  return { kind: 'error', error: new ProxyError(code, code, { sent }) };
}

/** The waits of a call all of whose attempts fail. */
export interface Schedule {
  /** The first is the wait before attempt 2. */
  readonly waits: readonly WaitRange[];
  readonly sum: WaitRange;
  /** When the last attempt starts at the latest: every wait and every attempt before it at its longest. */
  readonly lastStartsMs: number;
  /** When the call ends at the latest. */
  readonly endsMs: number;
}

/** `overloaded`: after 429, 503 and 529 the first wait is a longer one. */
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

/** How long an attempt can take that another one follows. */
export function longestFailedAttempt(
  rules: readonly RetryRule[],
  { connection }: UpstreamConfig,
  { settings }: RouteConfig,
): number {
  const { attemptTimeoutMs = settings.totalTimeoutMs } = settings;
  if (rules.some(({ sentUnknown }) => sentUnknown)) return attemptTimeoutMs;
  // A timeout of such an attempt is not followed by another; only an answer, or no connection, is.
  const late = rules.some(({ statuses }) => statuses.some((status) => status !== MISDIRECTED));
  return late ? attemptTimeoutMs : connection.connectTimeoutMs;
}
