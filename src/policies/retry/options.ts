import type { GrpcStatus } from '../../http/grpc.ts';
import type { BackoffKind } from './growth.ts';

export type Jitter = 'full' | 'equal' | 'decorrelated' | 'none';

export interface BackoffOptions {
  readonly kind: BackoffKind;
  readonly baseMs: number;
  /** The base after 429, 503 and 529, which say "too much" rather than "bad luck". */
  readonly overloadedBaseMs: number;
  readonly factor: number;
  readonly maxMs: number;
  readonly jitter: Jitter;
  /** The waits of kind `list`; the last one repeats. */
  readonly listMs: readonly number[];
}

export interface BudgetOptions {
  /** Most tokens kept; a retry costs one. */
  readonly cap: number;
  /** Tokens earned by each successful attempt. */
  readonly ratio: number;
  /** Tokens earned by time alone while the breaker is closed. */
  readonly refillPerSecond: number;
}

/**
 * What an idempotency key means on a route. `none`: nothing, it is a header like others. `pass`: the client's key makes
 * POST and PATCH safe to repeat. `inject`: as `pass`, and one is made where the client sent none. `require`: no key, no call.
 */
export type IdempotencyKeyMode = 'none' | 'pass' | 'inject' | 'require';

export interface RetryOptions {
  /** Attempts in all, the first included; 1 means never retry. */
  readonly attempts: number;
  /** Answered statuses worth another attempt (within the method rule). */
  readonly statuses: ReadonlySet<number>;
  /** Statuses by which this API says that nothing was processed, so that even a POST without a key may be sent again. */
  readonly notProcessed: ReadonlySet<number>;
  /** Errors by which this gRPC service says that nothing was processed: a call that one of them is all the answer to goes again. */
  readonly grpcStatuses: ReadonlySet<GrpcStatus>;
  readonly idempotencyKey: IdempotencyKeyMode;
  /** Calls change nothing at the upstream, whatever their method. */
  readonly safe: boolean;
  /** Lower-case header name. */
  readonly idempotencyHeader: string;
  /** A client's own retries are charged to the budget, and the client is told when to stop. */
  readonly limitClientRetries: boolean;
  readonly backoff: BackoffOptions;
  /** A wait asked for beyond this is not waited: the reply goes through instead. */
  readonly retryAfterMaxMs: number;
  /** Lower-case names of headers by which this API says whether to repeat a call, `true` or `false`, and its SDK is told so. */
  readonly vetoHeaders: readonly string[];
}
