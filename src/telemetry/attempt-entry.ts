import type { GrpcStatus } from '../http/grpc.ts';
import type { ErrorCode } from '../proxy/errors.ts';
import type { RetryReason } from '../proxy/events.ts';
import type { QuotaWait } from '../proxy/journal.ts';

/** A wait for the upstream's quota. */
export interface QuotaTime {
  readonly ms: number;
  readonly cause: QuotaWait;
}

/** One attempt that was sent to the upstream. */
export interface AttemptEntry {
  /** The upstream of a fallback; undefined for the upstream of the call. */
  readonly upstream: string | undefined;
  /** Undefined if the upstream has no targets. */
  readonly target: string | undefined;
  /** 1 for the first attempt. A number is missing if the proxy refused that attempt itself. */
  readonly n: number;
  /** Its start, in ms since the start of the call. */
  readonly atMs: number;
  /** Time to the head or the failure, in ms. Undefined while it runs. */
  ms: number | undefined;
  /** The status of its reply; undefined if there was no head. */
  status: number | undefined;
  /** The gRPC error that `status` represents. */
  grpc: GrpcStatus | undefined;
  error: ErrorCode | undefined;
  /** For the log: the message of the system or of OpenSSL, or the name of the error rule that matched. */
  detail: string | undefined;
  /** The backoff before it, in ms; 0 for the first attempt. */
  readonly waitMs: number;
  /** Its wait for the upstream's quota, and the cause. */
  readonly quota: QuotaTime | undefined;
  /** The reason for this retry; undefined for the first attempt. */
  readonly reason: RetryReason | undefined;
  /** Of a second attempt: how long the first had taken at its start, in ms. */
  readonly hedgedAfterMs: number | undefined;
  /** The position in the whole body at which it broke, if the rest was or could have been requested. */
  brokeAt: number | undefined;
}
