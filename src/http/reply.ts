import type { Socket } from 'node:net';
import type { GrpcStatus } from './grpc.ts';
import type { RawHeaders } from './headers.ts';

/**
 * The way a reply body ended. `broken`: upstream or client aborted it. `discarded`: it had no reader. All bytes of the others have
 * arrived. `incomplete`: a stream without the event that ends it. `failed`: later events say that the upstream has failed.
 * `throttled`: they say that a rate limit has refused the call. `broken_after_done`: a stream that broke after the event that ends it,
 * so its answer is whole, although its transfer is not.
 */
export type BodyEnd =
  | 'complete'
  | 'discarded'
  | 'broken'
  | 'broken_after_done'
  | 'incomplete'
  | 'failed'
  | 'throttled';

/** Whether the transfer of a body was cut. */
export const isBroken = (end: BodyEnd): boolean => end === 'broken' || end === 'broken_after_done';

/** Whether all bytes of a body have arrived, whatever they say. */
export const isWhole = (end: BodyEnd): boolean => end !== 'discarded' && !isBroken(end);

/** Whether a complete body says that its call has failed. */
export const isFailedEnd = (end: BodyEnd): end is 'failed' | 'throttled' =>
  end === 'failed' || end === 'throttled';

/** An interim reply (RFC 9110 §15.2), usually 103 Early Hints. */
export interface Interim {
  readonly status: number;
  /** The headers as the upstream sent them. */
  readonly headers: RawHeaders;
}

/**
 * A response whose head has arrived, and whose body is paused at the socket.
 * The receiver of a Reply must end it exactly once, with `pipeTo` or `discard` of its body.
 */
export interface Reply {
  /** The status for classification. The client gets it too, unless `received` is another one. */
  readonly status: number;
  /** The status that the upstream sent, if the body of the reply says that it means `status`: gRPC, event streams. */
  readonly received?: number;
  readonly statusText: string;
  /** The headers as the upstream sent them, hop-by-hop fields included. */
  readonly headers: RawHeaders;
  readonly body: ReplyBody;
  /** Interim replies that were buffered, because another attempt could still replace this one. */
  readonly interim?: readonly Interim[] | undefined;
  /** The error of a trailers-only reply of gRPC. It came with status 200; `status` is its equivalent. */
  readonly grpc?: GrpcStatus;
  /** The upstream's connection after a 101. `body.discard()` closes it. */
  readonly tunnel?: Socket;
  /** The source, if it is not the upstream of the call. */
  readonly origin?: 'fallback' | 'proxy' | 'cache';
  /** The first event of the stream has arrived. The attempt counts as answered, but its body may still end as failed. */
  readonly committed?: true;
  /** The classification by an error rule of the API, if one matched. */
  readonly classification?: ReplyClassification;
}

/** The classification of a reply by an error rule of its API. */
export interface ReplyClassification {
  /** The name of the rule, for the log. */
  readonly name: string | undefined;
  /**
   * `retry`: the error is transient, so an idempotent call is retried. `not_processed`: the API did nothing, so every call may
   * be retried. `in_progress`: a call with this idempotency key is running. `permanent`: a retry cannot succeed.
   * `credential_refused`: the API did nothing, because the credential is not valid or has no credit; another one may be accepted.
   */
  readonly kind: 'retry' | 'not_processed' | 'in_progress' | 'permanent' | 'credential_refused' | undefined;
  /** Whether the error is a rate limit or quota, whatever the status. With `permanent`, it does not end by waiting. */
  readonly throttled: boolean;
  /** The wait that the body or an API-specific header asks for. */
  readonly retryAfterMs: number | undefined;
}

/** Whether an error rule says that the reply is about its caller, and so says nothing about the host. */
export const isAboutCaller = ({ classification }: Pick<Reply, 'classification'>): boolean =>
  classification?.throttled === true || classification?.kind === 'credential_refused';

/** Learns how a body ended: a function, or an object without the cost of one. */
export type EndListener = ((end: BodyEnd) => void) | { ended(end: BodyEnd): void };

export function tellEnd(listener: EndListener, end: BodyEnd): void {
  if (typeof listener === 'function') listener(end);
  else listener.ended(end);
}

/** Learns that the reader of a body does not keep up. */
export interface HeldBackListener {
  heldBack(): void;
}

export interface ReplyBody {
  /** Streams the body into `sink`, with back-pressure to the upstream. */
  pipeTo(sink: BodySink): void;
  /** Frees the connection. A small rest is read, so that the connection can be reused. A larger one is aborted. */
  discard(): void;
  /** Ends the body early: its sink is destroyed with `reason`. Absent if the body comes from memory. */
  abort?(reason: Error): void;
  /** Calls `listener` once, when the body has ended for any reason. The listener must not throw. */
  onEnd(listener: EndListener): void;
  /** Calls `listener` once, at the next back-pressure of the sink. A later listener replaces it. Absent if the body comes from memory. */
  onHeldBack?(listener: HeldBackListener): void;
}

/** Trailers for the client. */
export type Trailers = readonly [name: string, value: string][];

/** The destination of a body. node:http's ServerResponse implements it. */
export interface BodySink {
  readonly destroyed: boolean;
  write(chunk: Uint8Array): boolean;
  /** Writes a chunk and sends it at once. node:http's `write` waits for the next tick. */
  writeNow?(chunk: Uint8Array): boolean;
  /** Adds trailers, just before `end`. Absent if the sink supports none. */
  addTrailers?(trailers: Trailers): void;
  end(): unknown;
  destroy(reason?: Error): unknown;
  on(event: 'drain', listener: () => void): unknown;
}
