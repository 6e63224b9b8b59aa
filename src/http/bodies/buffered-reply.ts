import type { ByteBudget } from '../byte-budget.ts';
import type { BodyEnd, BodySink, Reply, ReplyBody, Trailers } from '../reply.ts';
import { BodyBuffer } from './body-buffer.ts';
import { MemoryBody } from './memory-body.ts';

/** Maximum body size. Error bodies are small, and a larger one is not worth a blocked connection. */
const MAX_BUFFERED_BYTES = 64 * 1024;

/**
 * Buffers a failed reply, so that its connection is free during backoff. The client gets the reply unchanged if no later
 * attempt has a better one.
 */
export class BufferedReply implements BodySink {
  readonly #head: Omit<Reply, 'body'>;
  /** Undefined after its end, so that a call in backoff does not hold the failed attempt in memory. */
  #body: ReplyBody | undefined;
  readonly #log: BodyBuffer;
  #end: BodyEnd | undefined;
  #overflow = false;
  #trailers: Trailers = [];

  constructor({ body, ...head }: Reply, memory: ByteBudget) {
    this.#head = head;
    this.#body = body;
    this.#log = new BodyBuffer(memory);
    body.onEnd((end) => {
      this.#end = end;
      this.#body = undefined;
    });
    body.pipeTo(this);
  }

  /** The reply, or undefined if its body was too large, is incomplete or broken. Ends the buffering. */
  take(): Reply | undefined {
    const chunks = this.#log.chunks();
    const whole = this.#end === 'complete' && !this.#overflow;
    this.drop();
    return whole ? { ...this.#head, body: new MemoryBody(chunks, this.#trailers) } : undefined;
  }

  /** Whether the body has ended. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** Frees the memory. An unfinished body is aborted, because it may never end by itself. */
  drop(): void {
    this.#overflow = true;
    this.#log.release();
    this.#body?.abort?.(new Error('the failed reply is not needed any more'));
  }

  // --- the sink's side ---

  get destroyed(): boolean {
    return this.#overflow;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#log.bytes + chunk.length > MAX_BUFFERED_BYTES || !this.#log.tryAdd(chunk)) this.drop();
    return true;
  }

  addTrailers(trailers: Trailers): void {
    this.#trailers = trailers;
  }

  end(): void {}
  destroy(): void {}
  on(): void {}
}
