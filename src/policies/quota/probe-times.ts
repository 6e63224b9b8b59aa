/** The wait before a probe grows: 1, 4, 16, 25, 25 … s. That is at most four probes a minute. */
const FIRST_GAP_MS = 1000;
const GROWTH = 4;

/** The longest wait. It bounds the cost of a learned limit that is wrong or has ended. */
const LONGEST_GAP_MS = 25_000;

/** Milliseconds to the next probe, after `probes` others. */
export function gapMs(probes: number): number {
  return Math.min(LONGEST_GAP_MS, FIRST_GAP_MS * GROWTH ** probes);
}

/** When a learned limit may be tested: at once, and then at growing intervals. */
export class ProbeTimes {
  #at = -Infinity;
  #probes = 0;

  /** When the next test is due; a time in the past means now. */
  get at(): number {
    return this.#at;
  }

  due(now: number): boolean {
    return now >= this.#at;
  }

  /** `replicas` test the same limit, so each of them does so less often. */
  probed(now: number, replicas = 1): void {
    this.#at = now + gapMs(this.#probes++) * replicas;
  }
}
