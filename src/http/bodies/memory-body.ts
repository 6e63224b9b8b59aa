import {
  type BodyEnd,
  type BodySink,
  type EndListener,
  type ReplyBody,
  tellEnd,
  type Trailers,
} from '../reply.ts';

/** A body in memory. Its chunks can be shared by several bodies. */
export class MemoryBody implements ReplyBody {
  readonly #chunks: readonly Uint8Array[];
  readonly #trailers: Trailers;
  readonly #listeners: EndListener[] = [];
  #next = 0;
  #end: BodyEnd | undefined;

  constructor(chunks: readonly Uint8Array[], trailers: Trailers = []) {
    this.#chunks = chunks;
    this.#trailers = trailers;
  }

  /** Respects back-pressure, so that a slow client holds references and no copies. */
  pipeTo(sink: BodySink): void {
    const flow = () => {
      while (this.#end === undefined) {
        if (sink.destroyed) return this.#finish('broken');
        const chunk = this.#chunks[this.#next++];
        if (chunk === undefined) {
          this.#finish('complete');
          if (this.#trailers.length > 0) sink.addTrailers?.(this.#trailers);
          sink.end();
          return;
        }
        if (!sink.write(chunk) && this.#next < this.#chunks.length) return;
      }
    };
    sink.on('drain', flow);
    flow();
  }

  discard(): void {
    this.#finish('discarded');
  }

  onEnd(listener: EndListener): void {
    if (this.#end === undefined) this.#listeners.push(listener);
    else tellEnd(listener, this.#end);
  }

  #finish(end: BodyEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    for (const listener of this.#listeners.splice(0)) tellEnd(listener, end);
  }
}
