import type { BodyReader } from './request-body.ts';

/** What a reader reads from. */
export interface ReadLog {
  /** The chunk at `index`, 'wait' while it may still come, or undefined at the end. */
  chunkAt(index: number): Buffer | 'wait' | undefined;
  /** `reader` has taken the chunk before its index, or wants one that is not here yet. */
  progressed(reader: Reader, chunk: Buffer | undefined): void;
  closed(reader: Reader): void;
}

type Next = IteratorResult<Buffer, undefined>;
const DONE: Next = { done: true, value: undefined };

/** One attempt's way through a body, at its own pace. */
export class Reader implements BodyReader, AsyncIterator<Buffer, undefined> {
  index = 0;
  readonly #log: ReadLog;
  #waiting: PromiseWithResolvers<Next> | undefined;
  #closed = false;

  constructor(log: ReadLog) {
    this.#log = log;
  }

  /** It has read all there is, and more is to come. */
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
    this.#log.progressed(this, undefined);
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
    const chunk = this.#log.chunkAt(this.index);
    if (chunk === 'wait') return undefined;
    if (chunk === undefined) return DONE;
    this.index++;
    this.#log.progressed(this, chunk);
    return { done: false, value: chunk };
  }
}
