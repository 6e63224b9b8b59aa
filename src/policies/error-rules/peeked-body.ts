import { BodyBuffer } from '../../http/bodies/body-buffer.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import type { BodySink, EndListener, HeldBackListener, ReplyBody, Trailers } from '../../http/reply.ts';
import type { Clock } from '../../runtime/clock.ts';

/** The most bytes of a body that are read ahead and buffered. */
export const MAX_PEEKED_BYTES = 64 * 1024;

/**
 * A body whose beginning is read ahead, to classify the reply. Then it is passed on byte for byte. It is the sink of the exchange
 * and the body for the client.
 */
export class PeekedBody implements ReplyBody, BodySink {
  readonly #body: ReplyBody;
  readonly #held: BodyBuffer;
  #bytes = 0;
  #sink: BodySink | undefined;
  #onRead: ((bytes: Buffer | undefined) => void) | undefined;
  #resume: (() => void) | undefined;
  #trailers: Trailers | undefined;
  #end: { readonly error: Error | undefined } | undefined;
  #discarded = false;

  constructor(body: ReplyBody, memory: ByteBudget) {
    this.#body = body;
    this.#held = new BodyBuffer(memory);
  }

  /** The whole body; undefined if it breaks, is too large, or takes longer than `ms`. Call once, before any other method. */
  read(ms: number, clock: Clock): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      const timer = clock.timer(ms, () => this.#read(undefined));
      this.#onRead = (bytes) => {
        timer.cancel();
        resolve(bytes);
      };
      this.#body.pipeTo(this);
    });
  }

  #read(bytes: Buffer | undefined): void {
    const onRead = this.#onRead;
    this.#onRead = undefined;
    onRead?.(bytes);
  }

  // --- the reader's side ---

  pipeTo(sink: BodySink): void {
    if (sink.destroyed) return this.discard();
    this.#sink = sink;
    sink.on('drain', () => this.#resume?.());
    const chunks = this.#release();
    let ready = true;
    for (const chunk of chunks) ready = sink.write(chunk);
    if (this.#end !== undefined) this.#finish(sink, this.#end.error);
    else if (ready) this.#resume?.();
  }

  discard(): void {
    this.#release();
    this.#discarded = true;
    this.#resume?.();
  }

  abort(reason: Error): void {
    this.#body.abort?.(reason);
  }

  onEnd(listener: EndListener): void {
    this.#body.onEnd(listener);
  }

  onHeldBack(listener: HeldBackListener): void {
    this.#body.onHeldBack?.(listener);
  }

  // --- the sink's side ---

  get destroyed(): boolean {
    if (this.#sink !== undefined) return this.#sink.destroyed;
    return this.#discarded && this.#bytes > MAX_PEEKED_BYTES;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#sink !== undefined) return this.#sink.write(chunk);
    this.#bytes += chunk.length;
    // A discarded body is read to its end, so that the connection can be reused. `destroyed` cuts a body that is too long.
    if (this.#discarded) return true;
    const affordable = this.#held.tryAdd(chunk);
    if (!affordable) this.#held.add(chunk);
    if (!affordable || this.#bytes > MAX_PEEKED_BYTES) this.#read(undefined);
    return this.#onRead !== undefined;
  }

  addTrailers(trailers: Trailers): void {
    this.#trailers = trailers;
  }

  end(): void {
    this.#end = { error: undefined };
    if (this.#sink !== undefined) this.#finish(this.#sink, undefined);
    else if (this.#onRead !== undefined) this.#read(Buffer.concat(this.#held.chunks()));
  }

  destroy(error: Error = new Error('the body is incomplete')): void {
    this.#end = { error };
    if (this.#sink !== undefined) this.#finish(this.#sink, error);
    else this.#read(undefined);
  }

  on(_event: 'drain', listener: () => void): void {
    this.#resume = listener;
  }

  #finish(sink: BodySink, error: Error | undefined): void {
    if (error !== undefined) return void sink.destroy(error);
    if (this.#trailers !== undefined) sink.addTrailers?.(this.#trailers);
    sink.end();
  }

  /** Returns the buffered chunks, and releases their memory. */
  #release(): readonly Uint8Array[] {
    const chunks = this.#held.chunks();
    this.#held.release();
    return chunks;
  }
}
