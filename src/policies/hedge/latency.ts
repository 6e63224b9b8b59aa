/** The fewest samples for a 95th percentile: five of them are above it. */
const MIN_SAMPLES = 100;

/** The percentile is computed again after this time. */
const REFRESH_MS = 3_000;

/** Samples are forgotten after one to two of these. */
const WINDOW_MS = 60_000;

/** The factor between neighbouring buckets. A percentile has an error of at most half of it: 2.5 %. */
const GROWTH = 1.05;
const LOWEST_MS = 0.5;
/** From half a millisecond to half an hour: two arrays of 313 counts. */
const BUCKETS = Math.ceil(Math.log((30 * 60_000) / LOWEST_MS) / Math.log(GROWTH)) + 1;

/**
 * The latency of attempts to their head, as counts in logarithmic buckets (as DDSketch, Masson et al. 2019). Memory is bounded, and
 * no sort is needed. Two windows follow each other, so that old samples are forgotten.
 */
export class Latency {
  readonly #percentile: number;
  #current = new Uint32Array(BUCKETS);
  #previous = new Uint32Array(BUCKETS);
  #count = 0;
  #previousCount = 0;
  #since = 0;
  #readAt = Number.NEGATIVE_INFINITY;
  #read: number | undefined;

  /** `percentile` as a share: 0.95. */
  constructor(percentile: number) {
    this.#percentile = percentile;
  }

  /** `ms`: time of one attempt to its head, or to its early end. */
  record(ms: number, now: number): void {
    this.#roll(now);
    const bucket = ms <= LOWEST_MS ? 0 : Math.ceil(Math.log(ms / LOWEST_MS) / Math.log(GROWTH));
    const index = Math.min(BUCKETS - 1, bucket);
    this.#current[index] = (this.#current[index] as number) + 1;
    this.#count++;
  }

  /** The percentile in milliseconds; undefined while too little is known. */
  percentileMs(now: number): number | undefined {
    if (now - this.#readAt < REFRESH_MS) return this.#read;
    this.#roll(now);
    this.#read = this.#compute();
    // Until there are enough samples, each call computes it again.
    if (this.#read !== undefined) this.#readAt = now;
    return this.#read;
  }

  #compute(): number | undefined {
    const count = this.#count + this.#previousCount;
    if (count < MIN_SAMPLES) return undefined;
    const rank = Math.ceil(this.#percentile * count);
    let below = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      below += (this.#current[bucket] as number) + (this.#previous[bucket] as number);
      // The upper bound of the bucket, because a late hedge is better than an early one.
      if (below >= rank) return LOWEST_MS * GROWTH ** bucket;
    }
    return undefined;
  }

  #roll(now: number): void {
    const age = now - this.#since;
    if (age < WINDOW_MS) return;
    const recent = age < 2 * WINDOW_MS;
    [this.#current, this.#previous] = [this.#previous, this.#current];
    this.#previousCount = recent ? this.#count : 0;
    if (!recent) this.#previous.fill(0);
    this.#current.fill(0);
    this.#count = 0;
    this.#since = now;
  }
}
