import type { Socket } from 'node:net';
import type { RawHeaders } from './headers.ts';

/** How a reply's body came to an end. `broken`: upstream or client cut it; `discarded`: nobody wanted it. */
export type BodyEnd = 'complete' | 'discarded' | 'broken';

/**
 * A response whose head has arrived and whose body is held back at the socket.
 * Whoever receives a Reply must end it exactly once: `pipeTo`, `discard` or `keep`.
 */
export interface Reply {
  readonly status: number;
  readonly statusText: string;
  /** As the upstream sent them, hop-by-hop fields included. */
  readonly headers: RawHeaders;
  readonly body: ReplyBody;
  /** With a 101: the upstream's connection, whose bytes are the new protocol's. `body.discard()` closes it. */
  readonly tunnel?: Socket;
}

export interface ReplyBody {
  /** Streams the body into `sink`, holding the upstream back while the sink is full. */
  pipeTo(sink: BodySink): void;
  /** Frees the connection. A small rest is drained so that the connection can be used again; a large one is cut. */
  discard(): void;
  /** Calls back once, when the body has ended for whatever reason. Never throws. */
  onEnd(listener: (end: BodyEnd) => void): void;
}

/** What a body is poured into; node:http's ServerResponse is one. */
export interface BodySink {
  readonly destroyed: boolean;
  write(chunk: Uint8Array): boolean;
  /** Fields that follow the body, if it can be followed by any; just before `end`. */
  addTrailers?(trailers: readonly [name: string, value: string][]): void;
  end(): unknown;
  destroy(reason?: Error): unknown;
  on(event: 'drain', listener: () => void): unknown;
}
