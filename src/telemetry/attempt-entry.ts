import type { GrpcStatus } from '../http/grpc.ts';
import type { ErrorCode } from '../proxy/errors.ts';
import type { RetryReason } from '../proxy/events.ts';
import type { QuotaWait } from '../proxy/journal.ts';

/** A wait for the upstream's quota. */
export interface QuotaTime {
  readonly ms: number;
  readonly cause: QuotaWait;
}

/** One attempt that really went to the upstream. */
export interface AttemptEntry {
  /** Another one than the call was for. */
  readonly upstream: string | undefined;
  /** 1 for the first; a number is missing where an attempt was refused by ourselves. */
  readonly n: number;
  /** When it started, in ms since the call did. */
  readonly atMs: number;
  /** How long it took to the head or the failure; undefined while it runs, and if it never ended. */
  ms: number | undefined;
  /** What was answered; undefined when it brought no head. */
  status: number | undefined;
  /** The error of gRPC that `status` stands for. */
  grpc: GrpcStatus | undefined;
  error: ErrorCode | undefined;
  /** What the system or OpenSSL said of it, or the name of the rule that judged its reply, for the log. */
  detail: string | undefined;
  /** The backoff that led to it; 0 for the first. */
  readonly waitMs: number;
  /** How long it waited for the upstream's quota, and why. */
  readonly quota: QuotaTime | undefined;
  /** Why it followed another; undefined for the first. */
  readonly reason: RetryReason | undefined;
  /** The other attempt had taken this long when it was started beside it. */
  readonly hedgedAfterMs: number | undefined;
  /** The byte of the whole body before which it broke, where more was asked for or would have been. */
  brokeAt: number | undefined;
}
