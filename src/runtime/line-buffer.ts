import type { Writable } from 'node:stream';

/** Bound of the lines that wait for a slow reader, in characters. */
const MOST_WAITING = 4 * 1024 * 1024;

/**
 * Writes lines to a stream whose reader may stall, and never waits for it. Lines beyond the bound are dropped and counted. A
 * pipe behind `process.stdout` does not block. An asynchronous `fs.write` to a full pipe would hold a thread, and the process
 * could not exit before the reader continues.
 */
export class LineBuffer {
  readonly #to: Writable;
  readonly #mostWaiting: number;
  readonly #onDropsEnd: (lines: number) => void;
  #waiting: string[] = [];
  #waitingLength = 0;
  #writing = false;
  #failed = false;
  #dropped = 0;
  #toReport = 0;
  #onFlushed: (() => void)[] = [];

  /** `onDropsEnd`: called with the number of dropped lines when the stream accepts lines again. */
  constructor(to: Writable, onDropsEnd: (lines: number) => void, mostWaiting: number = MOST_WAITING) {
    this.#to = to;
    this.#onDropsEnd = onDropsEnd;
    this.#mostWaiting = mostWaiting;
    // The reader has gone: further lines are dropped.
    to.on('error', () => {
      this.#failed = true;
      this.#settle();
    });
  }

  /** Lines dropped since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  write(line: string): void {
    if (this.#failed || this.#waitingLength + line.length > this.#mostWaiting) {
      this.#dropped++;
      this.#toReport++;
      return;
    }
    this.#waiting.push(line);
    this.#waitingLength += line.length;
    if (this.#writing) return;
    this.#writing = true;
    // Lines of the same turn of the event loop are one write.
    setImmediate(() => this.#flush());
  }

  /** Resolves when every line is written, or the stream has failed. */
  flushed(): Promise<void> {
    if (!this.#writing || this.#failed) return Promise.resolve();
    return new Promise((resolve) => this.#onFlushed.push(resolve));
  }

  #flush(): void {
    if (this.#waiting.length === 0) return this.#settle();
    const text = this.#waiting.join('');
    this.#waiting = [];
    this.#to.write(text, () => {
      this.#waitingLength -= text.length;
      this.#reportDrops();
      this.#flush();
    });
  }

  #settle(): void {
    this.#writing = false;
    for (const resolve of this.#onFlushed.splice(0)) resolve();
  }

  #reportDrops(): void {
    const lines = this.#toReport;
    if (lines === 0 || this.#failed) return;
    this.#toReport = 0;
    this.#onDropsEnd(lines);
  }
}
