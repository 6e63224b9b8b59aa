/** A run proves an outage only when it lasts this long: ten attempts of one burst may share one hiccup. */
const MIN_SPAN_MS = 1_000;

/**
 * A run does not survive a longer gap between two failures. It must be well above a minute, so that an upstream called
 * once a minute still has a run, and well below an hour, so that failures of another hour do not condemn the first
 * failure after it: nothing is known about the time between.
 */
const MAX_GAP_MS = 5 * 60_000;

/** Failures in a row, whatever the rate of traffic: what a window of some seconds cannot see. */
export class FailureRun {
  #failures = 0;
  #connectFailures = 0;
  #startedAt = 0;
  #lastAt = 0;

  /** Failures in a row to connect (DNS, TCP, TLS). */
  get connectFailures(): number {
    return this.#connectFailures;
  }

  /** Failures in a row; 0 until they span a second. */
  get failures(): number {
    return this.#lastAt - this.#startedAt >= MIN_SPAN_MS ? this.#failures : 0;
  }

  add(now: number, connect: boolean): void {
    if (this.#failures > 0 && now - this.#lastAt > MAX_GAP_MS) this.clear();
    if (this.#failures === 0) this.#startedAt = now;
    this.#lastAt = now;
    this.#failures++;
    this.#connectFailures = connect ? this.#connectFailures + 1 : 0;
  }

  clear(): void {
    this.#failures = 0;
    this.#connectFailures = 0;
  }
}
