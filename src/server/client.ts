import type { Socket } from 'node:net';
import type { BodyStream } from '../http/bodies/streamed-body.ts';
import type { GrpcStatus } from '../http/grpc.ts';
import type { BodySink } from '../http/reply.ts';

/** The connection of a request, as its call needs it: an HTTP/1.1 socket or an HTTP/2 stream. */
export interface ClientConnection {
  readonly writable: boolean;
  readonly bytesRead: number;
  readonly remoteAddress?: string | undefined;
  destroy(): unknown;
  once(event: 'close', listener: () => void): unknown;
  off(event: 'close', listener: () => void): unknown;
}

/** A client's request. node:http's IncomingMessage implements it. */
export interface ClientRequest extends BodyStream {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly httpVersion: string;
  readonly rawHeaders: string[];
  /** Whether errors are sent in the form of gRPC. */
  readonly grpc?: boolean;
  /** Whether all of it has arrived. */
  readonly complete: boolean;
  readonly destroyed: boolean;
  readonly socket: ClientConnection;
  isPaused(): boolean;
  once(event: 'close', listener: () => void): unknown;
}

/** A client's response. node:http's ServerResponse implements it. */
export interface ClientResponse extends BodySink {
  /** Null while an earlier response is still being sent on the connection. */
  readonly socket: Socket | null;
  /** Undefined for HTTP/2. */
  readonly req?: { readonly method?: string | undefined };
  readonly headersSent: boolean;
  readonly writableLength: number;
  /** Bytes of the body that have left the process. Undefined if the socket carries only this response, and counts them. */
  readonly bytesSent?: number;
  readonly writableEnded: boolean;
  /** Whether all of it has been sent. */
  readonly writableFinished: boolean;
  readonly errored: Error | null;
  /** The error status in gRPC trailers, if any. */
  readonly grpcStatus?: GrpcStatus | undefined;
  /** False: the connection closes after this response. Only HTTP/1.1 uses it. */
  shouldKeepAlive: boolean;
  /** Whether `write` and `end` encode the body in chunks. Undefined for HTTP/2. */
  chunkedEncoding?: boolean;
  /** Holds back writes until `uncork`, which sends them at once. Without both, node:http sends them in the next tick. */
  cork?(): void;
  uncork?(): void;
  /** Sends an interim reply. If absent, interim replies are written to `socket` as text. */
  writeInterim?(status: number, headers: readonly string[]): void;
  writeHead(status: number, headers: string[]): this;
  writeHead(status: number, statusText: string, headers: string[]): this;
  end(body?: string | Uint8Array): unknown;
  on(event: 'drain' | 'close', listener: () => void): unknown;
  once(event: 'close' | 'socket', listener: () => void): unknown;
}
