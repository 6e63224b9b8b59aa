import type { ByteBudget } from '../byte-budget.ts';
import type { BodyEnd, BodySink, Reply } from '../reply.ts';
import { BodyBuffer } from './body-buffer.ts';
import { MemoryBody } from './memory-body.ts';

/** A failed reply is kept up to this size: error bodies are small, and larger ones are not worth a connection. */
const MAX_KEPT_BYTES = 64 * 1024;

/**
 * A reply read into memory, so that its connection is free while the call sleeps in backoff, and so that the client
 * still gets it as it came if no later attempt brings another.
 */
export class BufferedReply implements BodySink {
  readonly #reply: Reply;
  readonly #log: BodyBuffer;
  #end: BodyEnd | undefined;
  #overflow = false;

  constructor(reply: Reply, memory: ByteBudget) {
    this.#reply = reply;
    this.#log = new BodyBuffer(memory);
    reply.body.onEnd((end) => {
      this.#end = end;
    });
    reply.body.pipeTo(this);
  }

  /** The whole reply, or undefined when its body was too large, broke off or is still coming. Ends the keeping. */
  take(): Reply | undefined {
    const chunks = this.#log.chunks();
    const whole = this.#end === 'complete' && !this.#overflow;
    this.drop();
    return whole ? { ...this.#reply, body: new MemoryBody(chunks) } : undefined;
  }

  /** Gives the memory back; what is still coming is cut with its next byte. */
  drop(): void {
    this.#overflow = true;
    this.#log.release();
  }

  // --- the sink's side ---

  get destroyed(): boolean {
    return this.#overflow;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#log.bytes + chunk.length > MAX_KEPT_BYTES || !this.#log.tryAdd(chunk)) this.drop();
    return true;
  }

  end(): void {}
  destroy(): void {}
  on(): void {}
}
