import {
  type BodyEnd,
  type BodySink,
  type EndListener,
  type ReplyBody,
  tellEnd,
  type Trailers,
} from '../reply.ts';
import { appended } from '../../runtime/appended.ts';

const NO_TRAILERS: Trailers = [];

/** A body in memory. Its chunks can be shared by several bodies. */
export class MemoryBody implements ReplyBody {
  readonly #chunks: readonly Uint8Array[];
  readonly #trailers: Trailers;
  #listeners: readonly EndListener[] | undefined;
  #next = 0;
  /** The sink was too slow at least once. */
  #heldBefore = false;
  #end: BodyEnd | undefined;

  constructor(chunks: readonly Uint8Array[], trailers: Trailers = NO_TRAILERS) {
    this.#chunks = chunks;
    this.#trailers = trailers;
  }

  /** Respects back-pressure, so that a slow client holds references and no copies. */
  pipeTo(sink: BodySink): void {
    while (this.#end === undefined) {
      if (sink.destroyed) return this.#finish('broken');
      const chunk = this.#chunks[this.#next++];
      if (chunk === undefined) return this.#complete(sink);
      if (!sink.write(chunk) && this.#next < this.#chunks.length) return this.#hold(sink);
    }
  }

  #complete(sink: BodySink): void {
    this.#finish('complete');
    if (this.#trailers.length > 0) sink.addTrailers?.(this.#trailers);
    sink.end();
  }

  /** Most bodies never wait for their sink. */
  #hold(sink: BodySink): void {
    if (!this.#heldBefore) sink.on('drain', () => this.pipeTo(sink));
    this.#heldBefore = true;
  }

  discard(): void {
    this.#finish('discarded');
  }

  onEnd(listener: EndListener): void {
    if (this.#end === undefined) this.#listeners = appended(this.#listeners, listener);
    else tellEnd(listener, this.#end);
  }

  #finish(end: BodyEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    if (listeners !== undefined) for (const listener of listeners) tellEnd(listener, end);
  }
}
