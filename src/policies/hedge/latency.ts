/** Fewer samples than this say nothing of a 95th percentile: five of them lie above it. */
const MIN_SAMPLES = 100;

/** The percentile is read anew after this long; in between it stands. */
const REFRESH_MS = 3_000;

/** Samples are forgotten after one to two of these. */
const WINDOW_MS = 60_000;

/** Neighbouring buckets differ by this factor, so a percentile is off by at most half of it: 2.5 %. */
const GROWTH = 1.05;
const LOWEST_MS = 0.5;
/** From half a millisecond to half an hour: two arrays of 313 counts are all there is. */
const BUCKETS = Math.ceil(Math.log((30 * 60_000) / LOWEST_MS) / Math.log(GROWTH)) + 1;

/**
 * How long attempts take to their head, as counts in logarithmic buckets (as DDSketch does, Masson et al. 2019): bounded,
 * and without a sort. Two windows follow one another, so that what was long ago is forgotten.
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

  /** One attempt's time to its head, in milliseconds; of one that was ended early, the time it had taken until then. */
  record(ms: number, now: number): void {
    this.#roll(now);
    const bucket = ms <= LOWEST_MS ? 0 : Math.ceil(Math.log(ms / LOWEST_MS) / Math.log(GROWTH));
    const index = Math.min(BUCKETS - 1, bucket);
    this.#current[index] = (this.#current[index] as number) + 1;
    this.#count++;
  }

  /** Milliseconds within which the share has been answered, or undefined while too little is known. */
  percentileMs(now: number): number | undefined {
    if (now - this.#readAt < REFRESH_MS) return this.#read;
    this.#roll(now);
    this.#read = this.#compute();
    // Until there is enough, each new sample may be the one that was missing.
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
      // The bucket's upper bound: a hedge is rather late than early.
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
