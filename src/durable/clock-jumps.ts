import type { Clock } from '../runtime/clock.ts';

/** Notices that the wall clock was set: the monotonic clock tells how far it should have come. */
export class ClockJumps {
  readonly #clock: Pick<Clock, 'now' | 'wallTime'>;
  #aheadMs: number;

  constructor(clock: Pick<Clock, 'now' | 'wallTime'>) {
    this.#clock = clock;
    this.#aheadMs = this.#read();
  }

  /** How far it was set since the last look; below 0: back. A process that stood still sees its clock set forward. */
  look(): number {
    const before = this.#aheadMs;
    this.#aheadMs = this.#read();
    return this.#aheadMs - before;
  }

  #read(): number {
    return this.#clock.wallTime() - this.#clock.now();
  }
}
