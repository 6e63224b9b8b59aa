import type { CallbackOptions } from './callbacks/options.ts';
import type { PollOptions } from './until/options.ts';

/** What durable requests of one route may do. */
export interface DurableOptions {
  /** Attempts in all; deferrals do not count. */
  readonly attempts: number;
  /** After acceptance; no attempt begins later. */
  readonly deadlineMs: number;
  /** The result is kept for so long after the end. */
  readonly retentionMs: number;
  readonly maxBodyBytes: number;
  /** Of a longer reply, this much is kept. */
  readonly maxResultBytes: number;
  /** Attempts under way at once; undefined: as many as the upstream bears. */
  readonly concurrency: number | undefined;
  /** What is done with a request that may not be repeated and of which nobody knows whether it arrived. */
  readonly onUnknown: 'hold' | 'retry';
  /** Undefined where every good reply is the final one. */
  readonly poll: PollOptions | undefined;
}

/** What durable requests of all routes have in common. */
export interface DurableProcess {
  /** A file, or a postgres:// URL. */
  readonly store: string;
  /** Path of the HTTP interface, without a trailing slash. */
  readonly prefix: string;
  /** Requests that have not ended; beyond these, new ones are refused. */
  readonly backlog: number;
  readonly callbacks: CallbackOptions;
  /** 32 bytes, hex; undefined: the callers' credentials are not kept. */
  readonly credentialsKey: string | undefined;
}
