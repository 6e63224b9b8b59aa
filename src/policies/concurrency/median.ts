/** The step: the estimate follows a tenfold change of latency within about fifty samples, and varies by about 5 % at rest. */
const STEP = 1.05;

/**
 * A running median in one number: a step up for a higher sample, a step down for a lower one, so that it rests where both are
 * equally likely. Source: Ma, Muthukrishnan and Sandler, "Frugal Streaming for Estimating Quantiles", 2013, the one-unit
 * algorithm. Steps are a share of the value, because latencies differ by orders of magnitude.
 */
export class Median {
  #value: number | undefined;

  /** 0 before the first sample. */
  get value(): number {
    return this.#value ?? 0;
  }

  add(sample: number): void {
    if (this.#value === undefined || this.#value === 0) this.#value = sample;
    else if (sample > this.#value) this.#value *= STEP;
    else if (sample < this.#value) this.#value /= STEP;
  }
}
