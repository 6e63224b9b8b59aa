import { EventEmitter } from 'node:events';
import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { type GrpcStatus, grpcStatusOf } from '../http/grpc.ts';
import { fieldPairs, headerOf, withoutFields } from '../http/headers.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { ClientResponse } from './client.ts';
import { grpcTrailers } from './grpc-problem.ts';
import type { Http2Request } from './http2-request.ts';
import { ClientStream } from './http2-stream.ts';

type Trailers = readonly [name: string, value: string][];

/** Statuses without a body, independent of their fields (RFC 9110 §6.4.1). */
const BODYLESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** The highest status of HTTP/2. Some HTTP/1.1 servers send higher ones. */
const LAST_STATUS = 599;

/**
 * The response on an HTTP/2 stream, with the interface of an HTTP/1.1 response. The head is sent with the first `write` or
 * `end`. A head sent with `end` is one frame, which gRPC calls trailers-only.
 */
export class Http2Response
  extends EventEmitter<{ drain: []; close: []; socket: [] }>
  implements ClientResponse
{
  readonly socket: Socket;
  shouldKeepAlive = true;
  headersSent = false;
  writableEnded = false;
  writableFinished = false;
  destroyed = false;
  errored: Error | null = null;
  grpcStatus: GrpcStatus | undefined;
  readonly #stream: ClientStream;
  readonly #events: ServerHttp2Stream;
  readonly #request: Http2Request;
  #head: string[] | undefined;
  #bodyless = false;
  #written = 0;
  #trailers: Trailers = [];
  #closed = false;

  constructor(stream: ServerHttp2Stream, request: Http2Request, socket: Socket) {
    super();
    this.#request = request;
    this.#stream = new ClientStream(stream);
    this.#events = stream;
    this.socket = socket;
    stream.on('drain', () => this.emit('drain'));
    stream.on('wantTrailers', () => this.#sendTrailers());
    stream.on('finish', () => {
      if (this.#bodyless) this.#finish();
    });
    stream.on('close', () => this.#close());
  }

  get writableLength(): number {
    return this.#events.writableLength;
  }

  get bytesSent(): number {
    return this.#written - this.#events.writableLength;
  }

  writeHead(status: number, ...rest: [string[]] | [string, string[]]): this {
    if (status > LAST_STATUS)
      throw new ProxyError('protocol_error', `status ${status} is not valid in HTTP/2`);
    this.#head = [':status', String(status), ...withoutHttp2Settings(rest.at(-1) as string[])];
    this.#bodyless = this.#request.method === 'HEAD' || BODYLESS.has(status);
    this.headersSent = true;
    return this;
  }

  writeInterim(status: number, headers: readonly string[]): void {
    if (this.destroyed) return;
    this.#stream.interim({ ':status': status, ...grouped(fieldPairs(headers)) });
  }

  write(chunk: Uint8Array): boolean {
    this.#begin(this.#bodyless);
    if (this.#bodyless || chunk.length === 0) return true;
    this.#written += chunk.length;
    return this.#stream.write(chunk);
  }

  addTrailers(trailers: Trailers): void {
    this.#trailers = trailers;
    if (this.#request.grpc) this.grpcStatus = grpcStatusOf(trailers.flat());
  }

  end(body?: string | Uint8Array): void {
    this.writableEnded = true;
    if (body === undefined && this.#trailers.length === 0) this.#bodyless ||= this.#head !== undefined;
    this.#begin(this.#bodyless);
    if (!this.#bodyless) this.#stream.end(body);
  }

  /** Aborts the response: resets the stream, or for gRPC ends it with an error in its trailers. */
  destroy(error?: Error): void {
    if (this.destroyed) return;
    if (!(error instanceof ProxyError) || !this.#canSendTrailers()) return this.#reset(error);
    this.destroyed = true;
    this.errored = error;
    this.#trailers = grpcTrailers(error);
    this.#stream.end();
  }

  #reset(error?: Error): void {
    this.destroyed = true;
    this.errored = error ?? null;
    this.#stream.destroy(error ?? new Error('the response was aborted'));
  }

  /** Whether a gRPC client would receive trailers now: its head has been sent, and it is reading. */
  #canSendTrailers(): boolean {
    const { grpc } = this.#request;
    const begun = this.headersSent && this.#head === undefined && !this.#bodyless;
    return grpc && begun && !this.#stream.gone && !this.#events.writableNeedDrain;
  }

  #begin(endStream: boolean): void {
    const head = this.#head;
    this.#head = undefined;
    if (head === undefined) return;
    const failed = this.#stream.head(head, endStream ? { endStream } : { waitForTrailers: true });
    if (failed !== undefined) this.#reset(unrepresentable(failed));
  }

  #sendTrailers(): void {
    // Without trailers, this sends an empty frame that ends the stream.
    const failed = this.#stream.trailers(grouped(this.#trailers));
    if (failed === undefined) this.#finish();
    else this.#reset(unrepresentable(failed));
  }

  /** Ends the response before its request is complete. The stream itself closes only after both. */
  #finish(): void {
    this.writableFinished = !this.destroyed;
    if (!this.#request.complete) this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.destroyed = true;
    this.emit('close');
  }
}

/** The error for a reply from HTTP/1.1 that is not valid in HTTP/2. */
function unrepresentable(cause: Error): ProxyError {
  return new ProxyError('protocol_error', `the reply is not valid in HTTP/2: ${cause.message}`, { cause });
}

/** Fields as an object, the only form that node accepts for interim heads and trailers. */
function grouped(pairs: Trailers): OutgoingHttpHeaders {
  // Names come from the peer, so the object has no prototype: "constructor" is a valid name.
  const fields = Object.create(null) as Record<string, string[]>;
  for (const [name, value] of pairs) (fields[name.toLowerCase()] ??= []).push(value);
  return fields;
}

/** Removes the only connection field of HTTP/1.1 that was not removed before (RFC 9113 §8.2.2). */
function withoutHttp2Settings(fields: readonly string[]): readonly string[] {
  if (headerOf(fields, 'http2-settings') === undefined) return fields;
  return withoutFields(fields, (name) => name === 'http2-settings');
}
