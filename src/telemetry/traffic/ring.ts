import { STATES_AT, WIDTH } from './columns.ts';

/** Counts of equal stretches of time. The latest `length` of them are in memory. */
export class Ring {
  readonly length: number;
  readonly stepMs: number;
  readonly counts: Uint32Array;
  /** Share that is left of the scarcest quota (0 to 1), and the calls that wait for a quota. NaN: unknown. */
  readonly left: Float32Array;
  readonly waiting: Float32Array;
  /** The number of the latest interval: its start, in steps. */
  latest: number;

  constructor(length: number, stepMs: number, now: number) {
    this.length = length;
    this.stepMs = stepMs;
    this.counts = new Uint32Array(length * WIDTH);
    this.left = new Float32Array(length).fill(Number.NaN);
    this.waiting = new Float32Array(length);
    this.latest = Math.floor(now / stepMs);
  }

  /** Index of the latest interval. */
  get index(): number {
    return this.latest % this.length;
  }

  /** Start of the latest interval in `counts`. */
  get base(): number {
    return this.index * WIDTH;
  }

  /** Empties the intervals between the latest one and `now`, which is not before it. `statesAt`: the bits of an interval that begins then. */
  advance(now: number, statesAt: (ms: number) => number): void {
    const to = Math.floor(now / this.stepMs);
    const from = Math.max(this.latest, to - this.length);
    for (let interval = from + 1; interval <= to; interval++) {
      const index = interval % this.length;
      this.counts.fill(0, index * WIDTH, (index + 1) * WIDTH);
      this.counts[index * WIDTH + STATES_AT] = statesAt(interval * this.stepMs);
      this.left[index] = Number.NaN;
      this.waiting[index] = 0;
    }
    this.latest = to;
  }

  /** The indexes of all intervals, oldest first. An interval from before the ring began is empty. */
  indexes(): number[] {
    return Array.from({ length: this.length }, (_, age) => (this.latest + 1 + age) % this.length);
  }
}
