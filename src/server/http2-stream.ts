import type { OutgoingHttpHeaders, ServerHttp2Stream, ServerStreamResponseOptions } from 'node:http2';

/**
 * A client's stream of HTTP/2, as the proxy writes to it. A stream may close at any time, also while its head is handled,
 * and node:http2 then throws where a socket would only drop the bytes. That error would leave an event handler and end the
 * process. The rule (RFC 9113 §5.4.2): an error of a stream concerns that stream alone. So every call that may throw goes
 * through `#attempt`, and nothing else in the proxy writes to such a stream.
 */
export class ClientStream {
  readonly #stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
  }

  /** Nothing can be sent any more. Between its reset and its `close` event a stream is `closed` and not yet `destroyed`. */
  get gone(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  /** The error that kept the head from being sent; undefined also where the client has gone. */
  head(fields: readonly string[], options: ServerStreamResponseOptions): Error | undefined {
    return this.#attempt((stream) => stream.respond(fields, options));
  }

  /** An interim head is a hint: one that HTTP/2 cannot say is left out. */
  interim(headers: OutgoingHttpHeaders): void {
    this.#attempt((stream) => stream.additionalHeaders(headers));
  }

  /** The error that kept the trailers from being sent. */
  trailers(trailers: OutgoingHttpHeaders): Error | undefined {
    return this.#attempt((stream) => stream.sendTrailers(trailers));
  }

  /** False: wait for `drain`. */
  write(chunk: Uint8Array): boolean {
    return this.gone || this.#stream.write(chunk);
  }

  end(body?: string | Uint8Array): void {
    if (!this.gone) this.#stream.end(body);
  }

  /** Ends the stream with RST_STREAM. */
  destroy(error: Error): void {
    this.#stream.destroy(error);
  }

  #attempt(act: (stream: ServerHttp2Stream) => void): Error | undefined {
    if (this.gone) return undefined;
    try {
      act(this.#stream);
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }
}
