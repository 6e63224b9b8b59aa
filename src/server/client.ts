import type { Socket } from 'node:net';
import type { BodyStream } from '../http/bodies/streamed-body.ts';
import type { GrpcStatus } from '../http/grpc.ts';
import type { BodySink } from '../http/reply.ts';

/** What a request came on, as far as its call minds: a connection of HTTP/1.1 (a Socket is one), or a stream of HTTP/2. */
export interface ClientConnection {
  readonly writable: boolean;
  readonly bytesRead: number;
  readonly remoteAddress?: string | undefined;
  destroy(): unknown;
  once(event: 'close', listener: () => void): unknown;
  off(event: 'close', listener: () => void): unknown;
}

/** A client's request; node:http's IncomingMessage is one. */
export interface ClientRequest extends BodyStream {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly httpVersion: string;
  readonly rawHeaders: string[];
  /** Its answers are to be gRPC's. */
  readonly grpc?: boolean;
  /** All of it has come. */
  readonly complete: boolean;
  readonly destroyed: boolean;
  readonly socket: ClientConnection;
  isPaused(): boolean;
  once(event: 'close', listener: () => void): unknown;
}

/** Where its answer goes; node:http's ServerResponse is one. */
export interface ClientResponse extends BodySink {
  /** Null until it is this response's turn. */
  readonly socket: Socket | null;
  readonly headersSent: boolean;
  readonly writableLength: number;
  /** Bytes of the body that have left; undefined where the socket counts for this response alone. */
  readonly bytesTaken?: number;
  readonly writableEnded: boolean;
  /** All of it has been sent. */
  readonly writableFinished: boolean;
  readonly errored: Error | null;
  /** The error that the trailers of gRPC told. */
  readonly grpcStatus?: GrpcStatus | undefined;
  /** False: the connection takes no other request. Only HTTP/1.1 needs to be told. */
  shouldKeepAlive: boolean;
  /** Where an interim reply goes by another way than as text on `socket`. */
  writeInterim?(status: number, headers: readonly string[]): void;
  writeHead(status: number, headers: string[]): this;
  writeHead(status: number, statusText: string, headers: string[]): this;
  end(body?: string | Uint8Array): unknown;
  on(event: 'drain' | 'close', listener: () => void): unknown;
  once(event: 'close' | 'socket', listener: () => void): unknown;
}
