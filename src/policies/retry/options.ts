import type { GrpcStatus } from '../../http/grpc.ts';
import type { BackoffKind } from './growth.ts';

export type Jitter = 'full' | 'equal' | 'decorrelated' | 'none';

export interface BackoffOptions {
  readonly kind: BackoffKind;
  readonly baseMs: number;
  /** The base after 429, 503 and 529, which report overload rather than a random failure. */
  readonly overloadedBaseMs: number;
  readonly factor: number;
  readonly maxMs: number;
  readonly jitter: Jitter;
  /** The waits of kind `list`; the last one repeats. */
  readonly listMs: readonly number[];
}

export interface BudgetOptions {
  /** The most tokens; a retry costs one. */
  readonly cap: number;
  /** Tokens that each successful attempt earns. */
  readonly ratio: number;
  /** Tokens per second while the breaker is closed. */
  readonly refillPerSecond: number;
}

/**
 * The use of idempotency keys on a route. `none`: the key is a header like others. `pass`: the client's key makes POST and PATCH
 * safe to repeat. `inject`: as `pass`, and the proxy adds a missing key. `require`: a call without a key is refused.
 */
export type IdempotencyKeyMode = 'none' | 'pass' | 'inject' | 'require';

export interface RetryOptions {
  /** All attempts of a call, the first included; 1 means no retry. */
  readonly attempts: number;
  /** Statuses that are retried, if the method or a key allows it. */
  readonly statuses: ReadonlySet<number>;
  /** Statuses by which this API reports that nothing was processed. Even a POST without a key is then retried. */
  readonly notProcessed: ReadonlySet<number>;
  /** Errors by which this gRPC service reports that nothing was processed. A call is retried if one of them is the whole answer. */
  readonly grpcStatuses: ReadonlySet<GrpcStatus>;
  readonly idempotencyKey: IdempotencyKeyMode;
  /** Calls change nothing at the upstream, whatever their method. */
  readonly safe: boolean;
  /** Lower-case header name. */
  readonly idempotencyHeader: string;
  /** Whether a client's own retries are charged to the budget, and final replies ask the client to stop. */
  readonly limitClientRetries: boolean;
  readonly backoff: BackoffOptions;
  /** If the upstream asks for a longer wait, there is no retry and the reply is passed on. */
  readonly retryAfterMaxMs: number;
  /** Lower-case names of headers by which this API asks its SDK to retry (`true`) or not to (`false`). */
  readonly vetoHeaders: readonly string[];
}
