/** A tenfold change of latency is followed within some fifty samples; at rest the estimate swings by about as much. */
const STEP = 1.05;

/**
 * A running median in one number: a step up for a sample above it, a step down for one below, so that it rests where
 * both are equally likely (Ma, Muthukrishnan and Sandler, "Frugal Streaming for Estimating Quantiles", 2013; their
 * one-unit algorithm, with steps that are a share of the value because latencies differ by orders of magnitude).
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
