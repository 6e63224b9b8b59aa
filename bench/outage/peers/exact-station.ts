export interface ExactStationOptions {
  readonly workers: number;
  /** Places to wait in, besides those being served. */
  readonly queue: number;
}

/**
 * Workers behind one first-in-first-out queue, as in the simulation. Because every request that was taken is served to its
 * end, its end is known when it comes; so it is computed, and the capacity does not shrink when this machine's timers are
 * late.
 */
export class ExactStation {
  readonly #freeAt: number[];
  readonly #queue: number;
  /** When those that wait will begin; ascending. */
  #begins: number[] = [];

  constructor({ workers, queue }: ExactStationOptions) {
    this.#freeAt = Array.from({ length: workers }, () => 0);
    this.#queue = queue;
  }

  /** When the request that came at `now` will be served (both in ms); undefined if the queue is full. */
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
