/** With fewer samples than this, nothing is known. */
const MIN_SAMPLES = 20;

/** The first samples come from as many attempts as this, nine in ten of which must be answered. */
const FIRST = Math.floor(MIN_SAMPLES / 0.9);

/** At this many samples all counts are halved, so that the last thousand or so count, whatever the traffic. */
const MAX_SAMPLES = 1_024;

/** Neighbouring buckets differ by this factor. What is built on the estimate is a multiple of it, so this is enough. */
const GROWTH = 1.4;
/** From one millisecond to over ten minutes. */
const BUCKETS = 41;

/** The quantile is computed again after so many new samples. */
const REFRESH = 16;

/**
 * How long attempts of one kind take to their head: counts in logarithmic buckets. It forgets by number of samples and not
 * by time, so that an hour without traffic changes nothing.
 */
export class Usual {
  wellAt = Number.NEGATIVE_INFINITY;
  readonly #counts = new Uint16Array(BUCKETS);
  #total = 0;
  #stale = 0;
  #most: number | undefined;
  /** The highest bucket with a count. */
  #highest = -1;
  /** Of the first attempts: those that are under way or have been answered well. */
  #first = 0;

  /**
   * An attempt leaves. True if it is one of the first. Until something is known, only these count: fast answers come before
   * slow ones, so that the first answers would say that all are fast.
   */
  begin(): boolean {
    if (this.#most !== undefined || this.#first >= FIRST) return false;
    this.#first++;
    return true;
  }

  /** One of the first was not answered well: another takes its place. */
  forget(): void {
    this.#first--;
  }

  /** One attempt that was answered well after `ms`; `first`: what `begin` said of it. */
  record(ms: number, first: boolean): void {
    if (!first && this.#most === undefined) return;
    const bucket = ms <= 1 ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log(ms) / Math.log(GROWTH)));
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#highest = Math.max(this.#highest, bucket);
    if (++this.#total >= MAX_SAMPLES) this.#halve();
    if (this.#total < MIN_SAMPLES || --this.#stale > 0) return;
    this.#stale = REFRESH;
    this.#most = this.#quantile(0.9);
  }

  /** The time within which nine in ten are answered; undefined while too little is known. */
  get most(): number | undefined {
    return this.#most;
  }

  /** No good answer of late took longer; 0 while there was none. One answer among 512 to 1,024 is remembered. */
  get longest(): number {
    return this.#highest < 0 ? 0 : GROWTH ** this.#highest;
  }

  #halve(): void {
    this.#total = 0;
    this.#highest = -1;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      this.#counts[bucket] = (this.#counts[bucket] as number) >> 1;
      this.#total += this.#counts[bucket] as number;
      if (this.#counts[bucket] !== 0) this.#highest = bucket;
    }
  }

  /** The upper bound of the bucket in which it lies: rather too long than too short. */
  #quantile(share: number): number {
    let left = Math.ceil(share * this.#total);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket] as number;
      if (left <= 0) return GROWTH ** bucket;
    }
    return GROWTH ** (BUCKETS - 1);
  }
}
