import {
  type BodySink,
  type EndListener,
  type HeldBackListener,
  isWhole,
  type ReplyBody,
  type Trailers,
} from '../reply.ts';

/** Reads a copy of a body while it passes. */
export interface BodyObserver {
  /** A chunk that was passed on. It must not be changed, and is valid during the call only. */
  write(chunk: Uint8Array): void;
  /** Called once. `complete`: all bytes of the body have passed. */
  end(complete: boolean): void;
}

/** A body whose bytes are observed after they were passed on. It adds no wait, and ends the observer before the client's body. */
export class ObservedBody implements ReplyBody, BodySink {
  readonly #body: ReplyBody;
  readonly #observer: BodyObserver;
  #sink: BodySink | undefined;
  #ended = false;

  constructor(body: ReplyBody, observer: BodyObserver) {
    this.#body = body;
    this.#observer = observer;
    body.onEnd((end) => {
      // The bytes of a whole body may still be on their way through a buffer.
      if (!isWhole(end)) this.#end(false);
    });
  }

  // --- the reader's side ---

  pipeTo(sink: BodySink): void {
    this.#sink = sink;
    this.#body.pipeTo(this);
  }

  discard(): void {
    this.#end(false);
    this.#body.discard();
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
    return this.#sink?.destroyed === true;
  }

  write(chunk: Uint8Array): boolean {
    const ready = this.#sink?.write(chunk) ?? true;
    if (!this.#ended) this.#observer.write(chunk);
    return ready;
  }

  addTrailers(trailers: Trailers): void {
    this.#sink?.addTrailers?.(trailers);
  }

  end(): void {
    this.#end(true);
    this.#sink?.end();
  }

  destroy(reason?: Error): void {
    this.#end(false);
    this.#sink?.destroy(reason);
  }

  on(event: 'drain', listener: () => void): void {
    this.#sink?.on(event, listener);
  }

  #end(complete: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#observer.end(complete);
  }
}
