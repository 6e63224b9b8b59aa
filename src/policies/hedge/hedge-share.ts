/** Counted in whole millionths, so that fifty attempts at 2 % buy exactly one hedge. */
const MICRO = 1_000_000;

/** Hedges that an idle time may save up: more would be a burst at the very moment when all is slow. */
const CAP = 10;

/**
 * Keeps hedges a share of the attempts that could be hedged: over every window hedges ≤ 10 + share · attempts, and since
 * the start hedges ≤ share · attempts, for it starts empty.
 */
export class HedgeAllowance {
  readonly #perAttempt: number;
  #micro = 0;

  /** `share`: 0.02 is two in a hundred. */
  constructor(share: number) {
    this.#perAttempt = Math.round(share * MICRO);
  }

  /** Call once for each attempt that could be hedged, hedges not included. */
  attempted(): void {
    this.#micro = Math.min(CAP * MICRO, this.#micro + this.#perAttempt);
  }

  /** True if one more is within the share; it counts as sent. */
  take(): boolean {
    if (this.#micro < MICRO) return false;
    this.#micro -= MICRO;
    return true;
  }

  /** One that was taken has not been sent. */
  giveBack(): void {
    this.#micro = Math.min(CAP * MICRO, this.#micro + MICRO);
  }
}
