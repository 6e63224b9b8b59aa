import { type ReadPosition, start } from './body-buffer.ts';
import type { BodyReader } from './request-body.ts';

/** The source of a reader. */
export interface ReadLog {
  /** The bytes after `position`, which advances; 'wait' if more may arrive, undefined at the end. */
  next(position: ReadPosition): Buffer | 'wait' | undefined;
  /** Called when `reader` has read bytes, or waits for bytes. */
  progressed(reader: Reader): void;
  closed(reader: Reader): void;
}

type Next = IteratorResult<Buffer, undefined>;
const DONE: Next = { done: true, value: undefined };

/** Reads a request body for one attempt, at its own speed. */
export class Reader implements BodyReader, AsyncIterator<Buffer, undefined> {
  readonly position = start();
  readonly #log: ReadLog;
  #waiting: PromiseWithResolvers<Next> | undefined;
  #closed = false;

  constructor(log: ReadLog) {
    this.#log = log;
  }

  /** Whether it waits for bytes that have not arrived. */
  get waiting(): boolean {
    return this.#waiting !== undefined;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Next> {
    const ready = this.#take();
    if (ready !== undefined) return Promise.resolve(ready);
    this.#waiting = Promise.withResolvers<Next>();
    this.#log.progressed(this);
    return this.#waiting.promise;
  }

  return(): Promise<Next> {
    this.close();
    return Promise.resolve(DONE);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#log.closed(this);
    this.#waiting?.resolve(DONE);
    this.#waiting = undefined;
  }

  wake(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    try {
      const ready = this.#take();
      if (ready === undefined) return;
      this.#waiting = undefined;
      waiting.resolve(ready);
    } catch (error) {
      this.#waiting = undefined;
      waiting.reject(error);
    }
  }

  #take(): Next | undefined {
    if (this.#closed) return DONE;
    const chunk = this.#log.next(this.position);
    if (chunk === 'wait') return undefined;
    if (chunk === undefined) return DONE;
    this.#log.progressed(this);
    return { done: false, value: chunk };
  }
}
