import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2';
import { addAbortSignal, PassThrough } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { BodySource } from '../http/bodies/request-body.ts';
import { isSilence, ProxyError } from '../proxy/errors.ts';
import { toProxyError } from './failure.ts';
import { fieldsOf, lengthOf, replyFields, resetName } from './http2-fields.ts';

export type Handler = Dispatcher.DispatchHandler;
export type Request = Dispatcher.DispatchOptions;

/** What an exchange needs to know of its connection, and tells it. */
export interface Carrier {
  readonly session: ClientHttp2Session;
  /** The last stream that the upstream has said (GOAWAY) it may have looked at. */
  readonly lastStreamId: number;
  /** Nothing was heard in time: is anybody there? */
  suspect(): void;
  /** The upstream wants HTTP/1.1 for this (RFC 9113 §7). */
  http1Required(): void;
  /** The stream has closed. */
  released(): void;
}

const {
  NGHTTP2_ENHANCE_YOUR_CALM,
  NGHTTP2_FLAG_END_STREAM,
  NGHTTP2_HTTP_1_1_REQUIRED,
  NGHTTP2_NO_ERROR,
  NGHTTP2_REFUSED_STREAM,
} = constants;

/** RFC 9113 §8.7: the upstream has not begun to process the request. */
const NOT_LOOKED_AT: ReadonlySet<number> = new Set([NGHTTP2_REFUSED_STREAM, NGHTTP2_HTTP_1_1_REQUIRED]);

/**
 * One request on one stream, told to the handler as undici tells those of HTTP/1.1. (Not undici's own HTTP/2: of a reply
 * that is paused it loses the bytes that arrive together with its trailers, and calls it whole; 8.12.4.)
 */
export class Http2Exchange implements Dispatcher.DispatchController {
  aborted = false;
  paused = false;
  reason: Error | null = null;
  rawHeaders: string[] | null = null;
  rawTrailers: string[] | null = null;
  readonly #carrier: Carrier;
  readonly #handler: Handler;
  #stream: ClientHttp2Stream | undefined;
  #length: number | undefined;
  #received = 0;
  #done = false;
  /** All of the reply is here. */
  #ended = false;

  constructor(carrier: Carrier, handler: Handler) {
    this.#carrier = carrier;
    this.#handler = handler;
  }

  /** True if a stream was opened; its end is `released`. */
  start(request: Request, origin: URL): boolean {
    this.#handler.onRequestStart?.(this, {});
    if (this.#done) return false;
    const body = request.body as BodySource | null;
    const endStream = body === null || body === undefined;
    let stream: ClientHttp2Stream;
    try {
      stream = this.#carrier.session.request(fieldsOf(request, origin), { endStream });
    } catch (error) {
      this.#fail(new ProxyError('bad_request', toProxyError(error, 'not_sent').message, { cause: error }));
      return false;
    }
    this.#stream = stream;
    this.#listen(stream, request.method);
    if (Buffer.isBuffer(body)) stream.end(body);
    else if (!endStream) void this.#upload(stream, body as AsyncIterable<Buffer>);
    return true;
  }

  pause(): void {
    this.paused = true;
    this.#stream?.pause();
  }

  resume(): void {
    this.paused = false;
    this.#stream?.resume();
  }

  /** Resets the stream; the others on its connection go on. */
  abort(reason: Error): void {
    if (this.#done) return;
    this.aborted = true;
    this.reason = reason;
    if (reason instanceof ProxyError && isSilence(reason)) this.#carrier.suspect();
    this.#fail(reason);
  }

  #listen(stream: ClientHttp2Stream, method: string): void {
    // To node:http2 a reset without an error code (RFC 9113 §8.1) ends a body like any end, but for one thing: only at a
    // true end (END_STREAM) the stream is not closed yet when its body is.
    const push = stream.push.bind(stream);
    stream.push = (chunk: unknown, encoding?: BufferEncoding) => {
      if (chunk === null && !stream.closed) this.#ended = true;
      return push(chunk, encoding);
    };
    stream.on('headers', (_headers, _flags, raw) => this.#head(raw));
    stream.on('response', (_headers, flags, raw) => {
      this.#length = lengthOf(raw, method);
      this.#head(raw);
      if (this.#done) return;
      // The head is the whole reply, and is told as such: gRPC knows an error (trailers-only) by that.
      if ((flags & NGHTTP2_FLAG_END_STREAM) === 0) return void stream.on('data', this.#onData);
      this.#ended = true;
      this.#onEnd(stream);
    });
    stream.on('trailers', (_headers, _flags, raw) => {
      this.rawTrailers = replyFields(raw).fields;
    });
    stream.on('end', () => this.#onEnd(stream));
    stream.on('error', (error) => this.#fail(this.#failureOf(stream, error)));
    stream.on('close', () => {
      this.#fail(this.#failureOf(stream, undefined));
      this.#carrier.released();
    });
  }

  #head(raw: readonly string[]): void {
    if (this.#done) return;
    const { status, fields } = replyFields(raw);
    this.rawHeaders = fields;
    this.#handler.onResponseStart?.(this, status, {}, '');
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#done) return;
    this.#received += chunk.length;
    this.#handler.onResponseData?.(this, chunk);
  };

  /** node:http2 ends a stream as if it were whole also when the connection or the upstream has cut it. */
  #onEnd(stream: ClientHttp2Stream): void {
    if (this.#done) return;
    const cut = !this.#ended || stream.rstCode !== NGHTTP2_NO_ERROR || this.rawHeaders === null;
    if (cut) return this.#fail(this.#failureOf(stream, undefined));
    if (this.#length !== undefined && this.#length !== this.#received) {
      const message = `the body has ${this.#received} bytes, but its content-length is ${this.#length}`;
      return this.#fail(new ProxyError('response_incomplete', message, { sent: 'sent_unknown' }));
    }
    this.#done = true;
    this.#handler.onResponseEnd?.(this, {});
    // The answer is here; what is left of the request would be sent to nobody (RFC 9113 §8.1).
    if (!stream.writableEnded) stream.destroy(cancellation());
  }

  #fail(error: Error): void {
    if (this.#done) return;
    this.#done = true;
    this.#handler.onResponseError?.(this, error);
    this.#stream?.destroy(cancellation());
  }

  #failureOf({ rstCode, id = 0 }: ClientHttp2Stream, cause: Error | undefined): Error {
    if (rstCode === NGHTTP2_HTTP_1_1_REQUIRED) this.#carrier.http1Required();
    const said = this.#resetBy(rstCode);
    if (NOT_LOOKED_AT.has(rstCode ?? 0) || id > this.#carrier.lastStreamId)
      return new ProxyError('connection_terminated', said, { cause, sent: 'not_sent' });
    // A reset; CANCEL is no error to node:http2, and is also what it says when the connection is gone.
    if (cause === undefined || ('code' in cause && cause.code === 'ERR_HTTP2_STREAM_ERROR')) {
      const what = cause === undefined ? 'the upstream closed the connection or cancelled the stream' : said;
      return new ProxyError('connection_terminated', what, { cause, sent: 'sent_unknown' });
    }
    return cause;
  }

  /** node:http2 resets a stream by this code where the head of its reply exceeds our limits, and tells it like a reset of the peer. */
  #resetBy(code: number | undefined): string {
    const name = resetName(code);
    if (code !== NGHTTP2_ENHANCE_YOUR_CALM || this.rawHeaders !== null)
      return `the upstream reset the stream: ${name}`;
    return `the stream was reset: ${name}; either by the upstream, or because the reply has too many or too large header fields`;
  }

  async #upload(stream: ClientHttp2Stream, body: AsyncIterable<Buffer>): Promise<void> {
    try {
      for await (const chunk of body) {
        if (this.#done) return;
        if (!stream.write(chunk)) await drained(stream);
      }
      // Also of a source that was closed because the exchange is over; then its stream has been reset before.
      stream.end();
    } catch (error) {
      this.abort(error as Error);
    }
  }
}

let cancelled: Error | undefined;

/**
 * Node's own AbortError: the one error that node:http2 sends as RST_STREAM(CANCEL). Its `stream.close(CANCEL)` ends the body
 * in good order first (END_STREAM), so that half an upload would look whole.
 */
function cancellation(): Error | undefined {
  cancelled ??=
    addAbortSignal(
      AbortSignal.abort(),
      new PassThrough().on('error', () => undefined),
    ).errored ?? undefined;
  return cancelled;
}

function drained(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    if (stream.destroyed) return resolve();
    stream.on('drain', done);
    stream.on('close', done);
  });
}
