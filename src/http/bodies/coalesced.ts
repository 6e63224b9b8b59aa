import type { BodySink, Trailers } from '../reply.ts';

/** Larger chunks are passed on as they are. */
const SMALL_BYTES = 1_024;

/** So many small chunks are passed on as they are: most bodies have no more. */
const FREE_CHUNKS = 16;

const BLOCK_BYTES = 16 * 1024;

/**
 * Joins small chunks that come in one turn, on their way to `sink`. An upstream may send its bytes one by one. Each write
 * to a client takes some hundred bytes of memory while that client does not read, and node counts only the bytes in it.
 */
export class Coalesced implements BodySink {
  readonly #sink: BodySink;
  #small = 0;
  #block: Buffer | undefined;
  #filled = 0;
  #ready = true;

  constructor(sink: BodySink) {
    this.#sink = sink;
  }

  get destroyed(): boolean {
    return this.#sink.destroyed;
  }

  write(chunk: Uint8Array): boolean {
    const large = chunk.length >= SMALL_BYTES;
    if (large || ++this.#small <= FREE_CHUNKS) {
      this.#flush();
      this.#ready = this.#sink.write(chunk);
    } else {
      this.#add(chunk);
    }
    return this.#ready;
  }

  addTrailers(trailers: Trailers): void {
    this.#flush();
    this.#sink.addTrailers?.(trailers);
  }

  end(): void {
    this.#flush();
    this.#sink.end();
  }

  destroy(reason?: Error): void {
    this.#flush();
    this.#sink.destroy(reason);
  }

  on(event: 'drain', listener: () => void): void {
    this.#sink.on(event, () => {
      this.#ready = true;
      listener();
    });
  }

  #add(chunk: Uint8Array): void {
    if (this.#filled + chunk.length > BLOCK_BYTES) this.#flush();
    if (this.#block === undefined) {
      this.#block = Buffer.allocUnsafe(BLOCK_BYTES);
      queueMicrotask(this.#flush);
    }
    this.#block.set(chunk, this.#filled);
    this.#filled += chunk.length;
  }

  /** Runs after the code that parses what came in one packet, and before anything else comes in. */
  readonly #flush = (): void => {
    const block = this.#block;
    if (block === undefined) return;
    const filled = this.#filled;
    this.#block = undefined;
    this.#filled = 0;
    if (!this.#sink.destroyed) this.#ready = this.#sink.write(block.subarray(0, filled));
  };
}
