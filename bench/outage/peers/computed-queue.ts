export interface ComputedQueueOptions {
  readonly workers: number;
  /** Number of waiting requests, without those being served. */
  readonly queue: number;
}

/**
 * Workers behind one first-in-first-out queue, as in the simulation. Every accepted request is served to its end, so its
 * end is computed when it arrives. Late timers of this machine do not reduce the capacity.
 */
export class ComputedQueue {
  readonly #freeAt: number[];
  readonly #queue: number;
  /** Start times of the waiting requests, ascending. */
  #begins: number[] = [];

  constructor({ workers, queue }: ComputedQueueOptions) {
    this.#freeAt = Array.from({ length: workers }, () => 0);
    this.#queue = queue;
  }

  /** The time at which a request that arrives at `now` has been served (both in ms); undefined if the queue is full. */
  offer(now: number, serviceMs: (beginsAt: number) => number): number | undefined {
    this.#begins = this.#begins.filter((at) => at > now);
    if (this.#begins.length >= this.#queue) return undefined;
    const freeAt = Math.min(...this.#freeAt);
    const beginsAt = Math.max(now, freeAt);
    if (beginsAt > now) this.#begins.push(beginsAt);
    const endsAt = beginsAt + serviceMs(beginsAt);
    this.#freeAt[this.#freeAt.indexOf(freeAt)] = endsAt;
    return endsAt;
  }
}
