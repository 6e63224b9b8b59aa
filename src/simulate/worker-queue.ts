import type { Clock } from '../runtime/clock.ts';

export interface WorkerQueueOptions {
  readonly workers: number;
  /** How many requests may wait, in addition to those being served. */
  readonly queue: number;
}

/** A request that waits or is served. */
interface Job {
  /** Called when a worker starts with it. */
  readonly serviceMs: () => number;
  readonly onServed: () => void;
}

/**
 * Workers behind one first-in-first-out queue. An accepted request is served to its end even if its client has gone, as most
 * servers do. This is why an overload lasts.
 */
export class WorkerQueue {
  readonly #clock: Clock;
  readonly #options: WorkerQueueOptions;
  /** Served from `#head` on: shifting an array of hundreds at each step would be slow. */
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
