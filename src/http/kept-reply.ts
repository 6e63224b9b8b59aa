import type { BodyEnd, BodySink, Reply, ReplyBody } from './reply.ts';
import type { ByteBudget } from './byte-budget.ts';

/** A failed reply is kept up to this size: error bodies are small, and larger ones are not worth a connection. */
const MAX_KEPT_BYTES = 64 * 1024;

/**
 * A reply read into memory, so that its connection is free while the call sleeps in backoff, and so that the client
 * still gets it as it came if no later attempt brings another.
 */
export class KeptReply implements BodySink {
  readonly #reply: Reply;
  readonly #memory: ByteBudget;
  #chunks: Uint8Array[] = [];
  #taken = 0;
  #end: BodyEnd | undefined;
  #overflow = false;

  constructor(reply: Reply, memory: ByteBudget) {
    this.#reply = reply;
    this.#memory = memory;
    reply.body.onEnd((end) => {
      this.#end = end;
    });
    reply.body.pipeTo(this);
  }

  /** The whole reply, or undefined when its body was too large, broke off or is still coming. Ends the keeping. */
  take(): Reply | undefined {
    const chunks = this.#chunks;
    const whole = this.#end === 'complete' && !this.#overflow;
    this.drop();
    return whole ? { ...this.#reply, body: new MemoryBody(chunks) } : undefined;
  }

  /** Gives the memory back; what is still coming is cut with its next byte. */
  drop(): void {
    this.#overflow = true;
    this.#memory.give(this.#taken);
    this.#taken = 0;
    this.#chunks = [];
  }

  // --- the sink's side ---

  get destroyed(): boolean {
    return this.#overflow;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#taken + chunk.length > MAX_KEPT_BYTES || !this.#memory.tryTake(chunk.length)) this.drop();
    else {
      this.#taken += chunk.length;
      this.#chunks.push(chunk);
    }
    return true;
  }

  end(): void {}
  destroy(): void {}
  on(): void {}
}

/** A body that is all here. */
class MemoryBody implements ReplyBody {
  readonly #chunks: readonly Uint8Array[];
  readonly #listeners: Array<(end: BodyEnd) => void> = [];
  #end: BodyEnd | undefined;

  constructor(chunks: readonly Uint8Array[]) {
    this.#chunks = chunks;
  }

  pipeTo(sink: BodySink): void {
    // At most MAX_KEPT_BYTES: no need to mind the sink's back-pressure.
    for (const chunk of this.#chunks) sink.write(chunk);
    this.#finish('complete');
    sink.end();
  }

  discard(): void {
    this.#finish('discarded');
  }

  onEnd(listener: (end: BodyEnd) => void): void {
    if (this.#end === undefined) this.#listeners.push(listener);
    else listener(this.#end);
  }

  #finish(end: BodyEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    for (const listener of this.#listeners) listener(end);
  }
}
