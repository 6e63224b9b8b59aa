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

/** These have no body, whatever their fields say (RFC 9110 §6.4.1). */
const BODYLESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** There is no higher status; one hundreds of HTTP/1.1 servers send all the same. */
const LAST_STATUS = 599;

/**
 * The response on a stream of HTTP/2, written as HTTP/1.1's is. The head waits for the first of `write` and `end`: with
 * `end` it is the whole response, one frame, which is what gRPC calls trailers-only.
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

  get bytesTaken(): number {
    return this.#written - this.#events.writableLength;
  }

  writeHead(status: number, ...rest: [string[]] | [string, string[]]): this {
    if (status > LAST_STATUS)
      throw new ProxyError('protocol_error', `status ${status} is not valid in HTTP/2`);
    this.#head = [':status', String(status), ...known(rest.at(-1) as string[])];
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

  /** A body that is cut never ends in good order: the stream is reset, or for gRPC ends with an error in its trailers. */
  destroy(error?: Error): void {
    if (this.destroyed) return;
    if (!(error instanceof ProxyError) || !this.#canTell()) return this.#reset(error);
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

  /** Whether a client of gRPC would get trailers now: its head is out, and it reads. */
  #canTell(): boolean {
    const { grpc } = this.#request;
    const begun = this.headersSent && this.#head === undefined && !this.#bodyless;
    return grpc && begun && !this.#stream.gone && !this.#events.writableNeedDrain;
  }

  #begin(endStream: boolean): void {
    const head = this.#head;
    this.#head = undefined;
    if (head === undefined) return;
    const failed = this.#stream.head(head, endStream ? { endStream } : { waitForTrailers: true });
    if (failed !== undefined) this.#reset(unsayable(failed));
  }

  #sendTrailers(): void {
    // None at all is an empty frame that ends the stream.
    const failed = this.#stream.trailers(grouped(this.#trailers));
    if (failed === undefined) this.#finish();
    else this.#reset(unsayable(failed));
  }

  /** The stream closes when the request is here, too; whoever waits for this response need not wait for that. */
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

/** A reply that came by HTTP/1.1 may hold what HTTP/2 cannot say. */
function unsayable(cause: Error): ProxyError {
  return new ProxyError('protocol_error', `the reply is not valid in HTTP/2: ${cause.message}`, { cause });
}

/** Node takes what is neither a head nor a body only as an object. */
function grouped(pairs: Trailers): OutgoingHttpHeaders {
  // Names come from outside: "constructor" is one like any other.
  const fields = Object.create(null) as Record<string, string[]>;
  for (const [name, value] of pairs) (fields[name.toLowerCase()] ??= []).push(value);
  return fields;
}

/** All but the one field of a connection of HTTP/1.1 that is not taken away before (RFC 9113 §8.2.2). */
function known(fields: readonly string[]): readonly string[] {
  if (headerOf(fields, 'http2-settings') === undefined) return fields;
  return withoutFields(fields, (name) => name === 'http2-settings');
}
