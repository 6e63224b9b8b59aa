import { BodyBuffer } from '../../http/bodies/body-buffer.ts';
import type { ByteBudget } from '../../http/byte-budget.ts';
import type { BodyEnd, BodySink, ReplyBody, Trailers } from '../../http/reply.ts';
import type { Clock } from '../../runtime/clock.ts';

/** More of a body is not looked into, and not held. */
export const MAX_HELD_BYTES = 64 * 1024;

/**
 * A body whose beginning is read ahead, to be judged, and passed on byte for byte afterwards: what was read first, then
 * what is still to come. It stands between the exchange, whose sink it is, and whoever takes the reply.
 */
export class HeldBody implements ReplyBody, BodySink {
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

  /** The whole body, or undefined where it breaks off, is too large, or is not here after `ms`. Call once, first of all. */
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

  // --- the side of whoever takes the reply ---

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

  onEnd(listener: (end: BodyEnd) => void): void {
    this.#body.onEnd(listener);
  }

  onHeldBack(listener: () => void): void {
    this.#body.onHeldBack?.(listener);
  }

  // --- the sink's side ---

  get destroyed(): boolean {
    if (this.#sink !== undefined) return this.#sink.destroyed;
    return this.#discarded && this.#bytes > MAX_HELD_BYTES;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#sink !== undefined) return this.#sink.write(chunk);
    this.#bytes += chunk.length;
    // Read to its end for the connection's sake; once it is too long for that, `destroyed` cuts it.
    if (this.#discarded) return true;
    const affordable = this.#held.tryAdd(chunk);
    if (!affordable) this.#held.add(chunk);
    if (!affordable || this.#bytes > MAX_HELD_BYTES) this.#read(undefined);
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

  /** Hands over what is held, and gives its memory back. */
  #release(): readonly Uint8Array[] {
    const chunks = this.#held.chunks();
    this.#held.release();
    return chunks;
  }
}
