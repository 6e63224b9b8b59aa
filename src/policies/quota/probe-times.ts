/** The wait before a probe, and how it grows: 1, 4, 16, 25, 25 … s. In a minute that is at most four probes. */
const FIRST_GAP_MS = 1000;
const GROWTH = 4;

/** None is longer: a belief that is wrong, or has become so, costs no more. */
const LONGEST_GAP_MS = 25_000;

/** The time to the probe after `probes` others. */
export function gapMs(probes: number): number {
  return Math.min(LONGEST_GAP_MS, FIRST_GAP_MS * GROWTH ** probes);
}

/** When a belief may be tested: at once, and then ever more seldom. */
export class ProbeTimes {
  #at = -Infinity;
  #probes = 0;

  /** When the next test is due; in the past: now. */
  get at(): number {
    return this.#at;
  }

  due(now: number): boolean {
    return now >= this.#at;
  }

  probed(now: number): void {
    this.#at = now + gapMs(this.#probes++);
  }
}
