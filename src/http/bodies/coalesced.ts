import { soon, type SoonTask } from '../../runtime/soon.ts';
import type { BodySink, Trailers } from '../reply.ts';

/** Chunks of this size or more are not joined. */
const SMALL_BYTES = 1_024;

const BLOCK_BYTES = 16 * 1024;

/**
 * Joins small chunks that arrive in one turn of the event loop, before they are written to `sink`. An upstream can send
 * single bytes. Each queued write costs a few hundred bytes of memory, of which node counts only the payload.
 */
export class Coalesced implements BodySink, SoonTask {
  /** Bytes of the body so far. */
  bytes = 0;
  readonly #sink: BodySink;
  /** The only small chunk of this turn so far. Most turns of a paced stream have one, so it is not copied. */
  #only: Uint8Array | undefined;
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
    this.bytes += chunk.length;
    if (chunk.length < SMALL_BYTES) {
      this.#add(chunk);
    } else {
      this.#flush();
      this.#ready = this.#sink.write(chunk);
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
    if (this.#only === undefined && this.#block === undefined) {
      this.#only = chunk;
      soon(this);
      return;
    }
    if (this.#filled + chunk.length > BLOCK_BYTES) this.#flush();
    this.#block ??= this.#newBlock();
    this.#block.set(chunk, this.#filled);
    this.#filled += chunk.length;
  }

  #newBlock(): Buffer {
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    const only = this.#only;
    this.#only = undefined;
    if (only === undefined) soon(this);
    else block.set(only);
    this.#filled = only?.length ?? 0;
    return block;
  }

  /** More bytes of the same packet cannot come, so nothing waits for them. */
  onSoon(): void {
    const joined = this.#joined();
    if (joined === undefined || this.#sink.destroyed) return;
    this.#ready = this.#sink.writeNow?.(joined) ?? this.#sink.write(joined);
  }

  #flush(): void {
    const joined = this.#joined();
    if (joined !== undefined && !this.#sink.destroyed) this.#ready = this.#sink.write(joined);
  }

  /** Takes what has been added. */
  #joined(): Uint8Array | undefined {
    const joined = this.#block?.subarray(0, this.#filled) ?? this.#only;
    this.#only = undefined;
    this.#block = undefined;
    this.#filled = 0;
    return joined;
  }
}
