/** Hedges are counted in whole millionths, so that fifty attempts at 2 % allow exactly one hedge. */
const MICRO = 1_000_000;

/** The most hedges that can be saved up. More would be a burst at the moment when all calls are slow. */
const CAP = 10;

/**
 * Limits hedges to a share of the attempts that can be hedged. In every window: hedges ≤ 10 + share · attempts. Since the start:
 * hedges ≤ share · attempts, because it starts empty.
 */
export class HedgeShare {
  readonly #perAttempt: number;
  #micro = 0;

  /** `share`: 0.02 is two in a hundred. */
  constructor(share: number) {
    this.#perAttempt = Math.round(share * MICRO);
  }

  /** Call once for each attempt that can be hedged, hedges not included. */
  attempted(): void {
    this.#micro = Math.min(CAP * MICRO, this.#micro + this.#perAttempt);
  }

  /** True if one more hedge is within the share. The hedge then counts as sent. */
  take(): boolean {
    if (this.#micro < MICRO) return false;
    this.#micro -= MICRO;
    return true;
  }

  /** Call if a hedge that was taken was not sent. */
  refund(): void {
    this.#micro = Math.min(CAP * MICRO, this.#micro + MICRO);
  }
}
