import type { Clock } from '../runtime/clock.ts';

export interface WorkerQueueOptions {
  readonly workers: number;
  /** Places to wait in, besides those being served. */
  readonly queue: number;
}

/** A request. */
interface Job {
  /** Asked when a worker begins it. */
  readonly serviceMs: () => number;
  readonly onServed: () => void;
}

/**
 * Workers behind one first-in-first-out queue. A request that was taken is served to its end whether or not anybody still
 * waits for it: that is what makes an overload last, and what most servers do.
 */
export class WorkerQueue {
  readonly #clock: Clock;
  readonly #options: WorkerQueueOptions;
  /** Served from `#head` on; shifting an array of hundreds at each step would cost more than the serving. */
  #waiting: Job[] = [];
  #head = 0;
  #busy = 0;

  constructor(clock: Clock, options: WorkerQueueOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  /** False when the queue is full: `onServed` will not be called. */
  offer(serviceMs: () => number, onServed: () => void): boolean {
    const job = { serviceMs, onServed };
    if (this.#busy < this.#options.workers) this.#serve(job);
    else if (this.#waiting.length - this.#head < this.#options.queue) this.#waiting.push(job);
    else return false;
    return true;
  }

  #serve({ serviceMs, onServed }: Job): void {
    this.#busy++;
    this.#clock.timer(serviceMs(), () => {
      this.#busy--;
      const next = this.#next();
      if (next !== undefined) this.#serve(next);
      onServed();
    });
  }

  #next(): Job | undefined {
    const next = this.#waiting[this.#head];
    if (next === undefined) return undefined;
    this.#head++;
    if (this.#head > 1_000) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return next;
  }
}
