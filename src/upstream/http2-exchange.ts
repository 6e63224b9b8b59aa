import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2';
import { addAbortSignal, PassThrough } from 'node:stream';
import type { BodySource } from '../http/bodies/request-body.ts';
import type { RawHeaders } from '../http/headers.ts';
import { isSilence, ProxyError } from '../proxy/errors.ts';
import { toProxyError } from './failure.ts';
import type { Controller, Handler, Request } from './handler.ts';
import { fieldsOf, lengthOf, replyFields, resetName } from './http2-fields.ts';

/** The connection of an exchange. */
export interface StreamOwner {
  readonly session: ClientHttp2Session;
  /** The last stream that the upstream may have processed, by its GOAWAY. */
  readonly lastStreamId: number;
  /** Sends a PING, because the upstream was silent. */
  checkAlive(): void;
  /** The upstream requires HTTP/1.1 (RFC 9113 §7). */
  http1Required(): void;
  /** The stream has closed. */
  streamClosed(): void;
}

const {
  NGHTTP2_ENHANCE_YOUR_CALM,
  NGHTTP2_FLAG_END_STREAM,
  NGHTTP2_HTTP_1_1_REQUIRED,
  NGHTTP2_NO_ERROR,
  NGHTTP2_REFUSED_STREAM,
} = constants;

/** Reset codes which state that the upstream has not processed the request (RFC 9113 §8.7). */
const NOT_PROCESSED: ReadonlySet<number> = new Set([NGHTTP2_REFUSED_STREAM, NGHTTP2_HTTP_1_1_REQUIRED]);

/**
 * One request on one stream, with the callbacks of undici's HTTP/1.1. undici's own HTTP/2 (8.12.4) is not used. For a
 * paused reply, it loses the bytes that arrive together with the trailers, and reports the reply as complete.
 */
export class Http2Exchange implements Controller {
  readonly #connection: StreamOwner;
  readonly #handler: Handler;
  #stream: ClientHttp2Stream | undefined;
  #length: number | undefined;
  #received = 0;
  /** Whether the upstream has answered. An interim reply is an answer. */
  #answered = false;
  #trailers: RawHeaders = [];
  #done = false;
  /** Whether the whole reply has arrived. */
  #ended = false;

  constructor(connection: StreamOwner, handler: Handler) {
    this.#connection = connection;
    this.#handler = handler;
  }

  /** Sends the request. True if a stream was opened; its end calls `streamClosed`. */
  start(request: Request, origin: URL): boolean {
    this.#handler.onRequestStart(this);
    if (this.#done) return false;
    const body = request.body as BodySource | null;
    const endStream = body === null || body === undefined;
    let stream: ClientHttp2Stream;
    try {
      stream = this.#connection.session.request(fieldsOf(request, origin), { endStream });
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
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  /** Resets the stream. Others on the connection are not affected. */
  abort(reason: Error): void {
    if (this.#done) return;
    if (reason instanceof ProxyError && isSilence(reason)) this.#connection.checkAlive();
    this.#fail(reason);
  }

  #listen(stream: ClientHttp2Stream, method: string): void {
    // node:http2 reports a reset with NO_ERROR (RFC 9113 §8.1) like a normal end. The difference: after END_STREAM, the stream
    // is not closed yet when its body ends.
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
      // The head is the whole reply. gRPC recognises an error (trailers-only) by that.
      if ((flags & NGHTTP2_FLAG_END_STREAM) === 0) return void stream.on('data', this.#onData);
      this.#ended = true;
      this.#onEnd(stream);
    });
    stream.on('trailers', (_headers, _flags, raw) => {
      this.#trailers = replyFields(raw).fields;
    });
    stream.on('end', () => this.#onEnd(stream));
    stream.on('error', (error) => this.#fail(this.#failureOf(stream, error)));
    stream.on('close', () => {
      this.#fail(this.#failureOf(stream, undefined));
      this.#connection.streamClosed();
    });
  }

  #head(raw: readonly string[]): void {
    if (this.#done) return;
    const { status, fields } = replyFields(raw);
    this.#answered = true;
    this.#handler.onResponseStart(this, status, { list: fields }, '');
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#done) return;
    this.#received += chunk.length;
    this.#handler.onResponseData(this, chunk);
  };

  /** Checks completeness, because node:http2 emits 'end' also for a stream that was cut. */
  #onEnd(stream: ClientHttp2Stream): void {
    if (this.#done) return;
    const cut = !this.#ended || stream.rstCode !== NGHTTP2_NO_ERROR || !this.#answered;
    if (cut) return this.#fail(this.#failureOf(stream, undefined));
    if (this.#length !== undefined && this.#length !== this.#received) {
      const message = `the body has ${this.#received} bytes, but its content-length is ${this.#length}`;
      return this.#fail(new ProxyError('response_incomplete', message, { sent: 'sent_unknown' }));
    }
    this.#done = true;
    this.#handler.onResponseEnd(this, { list: this.#trailers });
    // The reply is complete, so the rest of the request is not needed (RFC 9113 §8.1).
    if (!stream.writableEnded) stream.destroy(cancellation());
  }

  #fail(error: Error): void {
    if (this.#done) return;
    this.#done = true;
    this.#handler.onResponseError(this, error);
    this.#stream?.destroy(cancellation());
  }

  #failureOf(stream: ClientHttp2Stream, cause: Error | undefined): Error {
    const { rstCode } = stream;
    if (rstCode === NGHTTP2_HTTP_1_1_REQUIRED) this.#connection.http1Required();
    const said = this.#resetBy(rstCode);
    if (this.#wasRefused(stream))
      return new ProxyError('connection_terminated', said, { cause, sent: 'not_sent' });
    // A reset. node:http2 treats CANCEL as no error, and also reports it for a lost connection.
    if (cause === undefined || ('code' in cause && cause.code === 'ERR_HTTP2_STREAM_ERROR')) {
      const what = cause === undefined ? 'the upstream closed the connection or cancelled the stream' : said;
      return new ProxyError('connection_terminated', what, { cause, sent: 'sent_unknown' });
    }
    return cause;
  }

  /** An upstream that has answered has processed the request, whatever its reset says. */
  #wasRefused({ rstCode, id = 0 }: ClientHttp2Stream): boolean {
    return !this.#answered && (NOT_PROCESSED.has(rstCode) || id > this.#connection.lastStreamId);
  }

  /** Describes a reset. node:http2 uses ENHANCE_YOUR_CALM itself if a reply head exceeds the proxy's limits. */
  #resetBy(code: number | undefined): string {
    const name = resetName(code);
    if (code !== NGHTTP2_ENHANCE_YOUR_CALM || this.#answered) return `the upstream reset the stream: ${name}`;
    return `the stream was reset: ${name}; either by the upstream, or because the reply has too many or too large header fields`;
  }

  async #upload(stream: ClientHttp2Stream, body: AsyncIterable<Buffer>): Promise<void> {
    try {
      for await (const chunk of body) {
        if (this.#done) return;
        if (!stream.write(chunk)) await drained(stream);
      }
      // A source that was closed with its exchange ends here too; its stream is already reset.
      stream.end();
    } catch (error) {
      this.abort(error as Error);
    }
  }
}

let cancelled: Error | undefined;

/**
 * Node's AbortError, the only error that node:http2 sends as RST_STREAM(CANCEL). `stream.close(CANCEL)` would send
 * END_STREAM first, so that a partial upload would look complete.
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
