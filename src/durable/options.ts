import type { CallbackOptions } from './callbacks/options.ts';
import type { PollOptions } from './until/options.ts';

/** How long a request whose route no longer exists is stored after its end, in milliseconds: a day, as by default. */
export const RETENTION_WITHOUT_ROUTE_MS = 86_400_000;

/** Limits of the durable requests of one route. */
export interface DurableOptions {
  /** Maximum number of attempts. Deferrals do not count. */
  readonly attempts: number;
  /** Milliseconds after acceptance. No attempt begins later. */
  readonly deadlineMs: number;
  /** Milliseconds for which the result is retained after the end. */
  readonly retentionMs: number;
  readonly maxBodyBytes: number;
  /** A longer reply body is truncated to this. */
  readonly maxResultBytes: number;
  /** Maximum number of concurrent attempts. Undefined: adaptive. */
  readonly concurrency: number | undefined;
  /**
   * Handling of a request whose outcome is unknown and which is not safe to repeat: end it, or send it again.
   */
  readonly onUnknown: 'hold' | 'retry';
  /** Undefined if every successful reply is final. */
  readonly poll: PollOptions | undefined;
}

/** Options that all durable routes share. */
export interface DurableProcess {
  /** Path of a file, or a postgres:// URL. */
  readonly store: string;
  /** Path of the HTTP API, without a trailing slash. */
  readonly prefix: string;
  /** Maximum number of unfinished requests. Further ones are refused. */
  readonly backlog: number;
  readonly callbacks: CallbackOptions;
  /** 32 bytes in hex. Undefined: credentials of callers are not stored. */
  readonly credentialsKey: string | undefined;
}
