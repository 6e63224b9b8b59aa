/** The shortest run that shows an outage: ten attempts of one burst may fail for one brief cause. */
const MIN_SPAN_MS = 1_000;

/**
 * The longest gap between a failure of a run and the start of the next attempt that failed. It is well above a minute, so that an upstream called once a minute can have a
 * run. It is well below an hour, because nothing is known about the time between two distant failures.
 */
const MAX_GAP_MS = 5 * 60_000;

/** Counts failures in a row at any rate of calls. A window of some seconds cannot show them if calls are rare. */
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

  /** `startedAt`: of the attempt. Its time is no gap, however long it was silent. */
  add(now: number, connect: boolean, startedAt = now): void {
    if (this.#failures > 0 && startedAt - this.#lastAt > MAX_GAP_MS) this.clear();
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
