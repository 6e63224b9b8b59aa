import type { OutgoingHttpHeaders, ServerHttp2Stream, ServerStreamResponseOptions } from 'node:http2';

/**
 * The only writer to a client's HTTP/2 stream. A stream can close at any time, and node:http2 then throws, where a socket
 * would drop the bytes. Such an error would end the process, but it must affect only its stream (RFC 9113 §5.4.2).
 * So every call that can throw goes through `#attempt`.
 */
export class ClientStream {
  readonly #stream: ServerHttp2Stream;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
  }

  /** Whether nothing can be sent. Between its reset and its `close` event, a stream is `closed` but not yet `destroyed`. */
  get gone(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  /** Sends the head. Returns the error that prevented it; undefined also if the client has disconnected. */
  head(fields: readonly string[], options: ServerStreamResponseOptions): Error | undefined {
    return this.#attempt((stream) => stream.respond(fields, options));
  }

  /** Sends an interim head. It is only a hint, so one that is not valid in HTTP/2 is dropped. */
  interim(headers: OutgoingHttpHeaders): void {
    this.#attempt((stream) => stream.additionalHeaders(headers));
  }

  /** Sends the trailers. Returns the error that prevented it. */
  trailers(trailers: OutgoingHttpHeaders): Error | undefined {
    return this.#attempt((stream) => stream.sendTrailers(trailers));
  }

  /** False: the buffer is full, so wait for `drain`. */
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
