import type { Clock } from '../runtime/clock.ts';

/** Detects that the wall clock was set, by comparing it with the monotonic clock. */
export class ClockJumps {
  readonly #clock: Pick<Clock, 'now' | 'wallTime'>;
  #aheadMs: number;

  constructor(clock: Pick<Clock, 'now' | 'wallTime'>) {
    this.#clock = clock;
    this.#aheadMs = this.#read();
  }

  /**
   * Milliseconds by which the wall clock was set since the last call; negative if it was set back. A suspended
   * process sees its clock set forward.
   */
  look(): number {
    const before = this.#aheadMs;
    this.#aheadMs = this.#read();
    return this.#aheadMs - before;
  }

  #read(): number {
    return this.#clock.wallTime() - this.#clock.now();
  }
}
