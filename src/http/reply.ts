import type { Socket } from 'node:net';
import type { GrpcStatus } from './grpc.ts';
import type { RawHeaders } from './headers.ts';

/** How a reply's body came to an end. `broken`: upstream or client cut it; `discarded`: nobody wanted it. */
export type BodyEnd = 'complete' | 'discarded' | 'broken';

/** A reply before the reply (RFC 9110 §15.2): 103 Early Hints above all. */
export interface Interim {
  readonly status: number;
  /** As the upstream sent them. */
  readonly headers: RawHeaders;
}

/**
 * A response whose head has arrived and whose body is held back at the socket.
 * Whoever receives a Reply must end it exactly once: `pipeTo`, `discard` or `keep`.
 */
export interface Reply {
  /** By which it is judged, and which goes to the client unless `grpc` is given. */
  readonly status: number;
  readonly statusText: string;
  /** As the upstream sent them, hop-by-hop fields included. */
  readonly headers: RawHeaders;
  readonly body: ReplyBody;
  /** What came before it and was held back, because another attempt could still have taken its place. */
  readonly interim?: readonly Interim[] | undefined;
  /** The error that is all of this reply to gRPC (trailers-only). It came with 200; `status` is what it stands for. */
  readonly grpc?: GrpcStatus;
  /** With a 101: the upstream's connection, whose bytes are the new protocol's. `body.discard()` closes it. */
  readonly tunnel?: Socket;
  /** Not from the upstream that the call was for: from another, or our own. */
  readonly origin?: 'fallback' | 'proxy' | 'cache';
  /** What it means on this API, where that is more than its status says. */
  readonly verdict?: ReplyVerdict;
}

/** What a reply means by the rules of its API. */
export interface ReplyVerdict {
  /** The rule that said so, for the log. */
  readonly name: string | undefined;
  /**
   * `retry`: it passes, so that a call that may be repeated is. `not_processed`: the API did nothing, so that any call may be
   * repeated. `in_progress`: a call under this idempotency key still runs. `permanent`: no repetition will change it.
   */
  readonly kind: 'retry' | 'not_processed' | 'in_progress' | 'permanent' | undefined;
  /** It is the API's rate limit or quota that speaks, whatever the status. With `permanent`: one that does not come back by waiting. */
  readonly throttled: boolean;
  /** How long to wait, by the body or by a header of this API alone. */
  readonly retryAfterMs: number | undefined;
}

export interface ReplyBody {
  /** Streams the body into `sink`, holding the upstream back while the sink is full. */
  pipeTo(sink: BodySink): void;
  /** Frees the connection. A small rest is drained so that the connection can be used again; a large one is cut. */
  discard(): void;
  /** Calls back once, when the body has ended for whatever reason. Never throws. */
  onEnd(listener: (end: BodyEnd) => void): void;
  /** Calls back once, when the one who takes the body next holds the upstream back. Absent where no upstream can be held back. */
  onHeldBack?(listener: () => void): void;
}

/** Fields behind a body, as the client gets them. */
export type Trailers = readonly [name: string, value: string][];

/** What a body is poured into; node:http's ServerResponse is one. */
export interface BodySink {
  readonly destroyed: boolean;
  write(chunk: Uint8Array): boolean;
  /** Fields that follow the body, if it can be followed by any; just before `end`. */
  addTrailers?(trailers: Trailers): void;
  end(): unknown;
  destroy(reason?: Error): unknown;
  on(event: 'drain', listener: () => void): unknown;
}
