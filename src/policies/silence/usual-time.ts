import type { Expectation } from '../../proxy/attempt-watch.ts';

/** The shortest silence of a suspected attempt. A healthy API sometimes pauses for a second or two. */
const MIN_PATIENCE_MS = 2_000;

/** An attempt is suspected after this multiple of the usual time. */
const PATIENCE_FACTOR = 4;

/** The fewest samples for an estimate. */
const MIN_SAMPLES = 20;

/** The first samples come from this many attempts, nine in ten of which must be answered. */
const FIRST = Math.floor(MIN_SAMPLES / 0.9);

/** At this many samples all counts are halved, so that about the last thousand samples count at any rate of calls. */
const MAX_SAMPLES = 1_024;

/** The factor between neighbouring buckets. Users multiply the estimate by more than this, so the resolution is enough. */
const GROWTH = 1.4;
/** From one millisecond to over ten minutes. */
const BUCKETS = 41;

/** The quantile is computed again after this many new samples. */
const REFRESH = 16;

/**
 * The usual time of attempts of one kind to their head, as counts in logarithmic buckets. Old samples are forgotten by number and
 * not by time, so that an hour without calls changes nothing.
 */
export class UsualTime {
  /** When the latest attempt of this kind with a good answer left; on the scale of `clock.now()`. */
  wellAt = Number.NEGATIVE_INFINITY;
  readonly #counts = new Uint16Array(BUCKETS);
  #total = 0;
  #stale = 0;
  #most: number | undefined;
  /** The highest bucket with a count. */
  #highest = -1;
  /** The first attempts that are in flight or were answered well. */
  #first = 0;
  /** By the estimates of now; undefined if they have changed since it was needed. */
  #expectation: Expectation | undefined;

  /**
   * Call when an attempt leaves. True if it is one of the first. Until there is an estimate, only the first attempts count. Fast
   * answers arrive before slow ones, so the first answers to arrive would make the estimate too low.
   */
  begin(): boolean {
    if (this.#most !== undefined || this.#first >= FIRST) return false;
    this.#first++;
    return true;
  }

  /** Call if one of the first was not answered well. Another attempt takes its place. */
  forget(): void {
    this.#first--;
  }

  /** Call for a good answer after `ms`. `first`: the result of `begin`. */
  record(ms: number, first: boolean): void {
    if (!first && this.#most === undefined) return;
    const bucket = ms <= 1 ? 0 : Math.min(BUCKETS - 1, Math.ceil(Math.log(ms) / Math.log(GROWTH)));
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    if (bucket > this.#highest) {
      this.#highest = bucket;
      this.#expectation = undefined;
    }
    if (++this.#total >= MAX_SAMPLES) this.#halve();
    if (this.#total < MIN_SAMPLES || --this.#stale > 0) return;
    this.#stale = REFRESH;
    this.#expectation = undefined;
    this.#most = this.#quantile(0.9);
  }

  /** Nine in ten attempts are answered within this time, in milliseconds; undefined while too little is known. */
  get most(): number | undefined {
    return this.#most;
  }

  /** No recent good answer took longer, in milliseconds; 0 if there was none. One answer in 512 to 1,024 is remembered. */
  get longest(): number {
    return this.#highest < 0 ? 0 : GROWTH ** this.#highest;
  }

  /** The expectation of an attempt that has `totalMs` at most. Attempts share it until an estimate changes. */
  expectation(totalMs: number): Expectation {
    if (this.#expectation?.totalMs !== totalMs) this.#expectation = this.#expect(totalMs);
    return this.#expectation;
  }

  #expect(totalMs: number): Expectation {
    const { longest, most } = this;
    const patienceMs =
      most === undefined ? Number.POSITIVE_INFINITY : Math.max(MIN_PATIENCE_MS, PATIENCE_FACTOR * most);
    return { patienceMs, usualMs: most, longestMs: longest, totalMs, usual: this };
  }

  #halve(): void {
    this.#expectation = undefined;
    this.#total = 0;
    this.#highest = -1;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      this.#counts[bucket] = (this.#counts[bucket] as number) >> 1;
      this.#total += this.#counts[bucket] as number;
      if (this.#counts[bucket] !== 0) this.#highest = bucket;
    }
  }

  /** The upper bound of its bucket, because a long estimate is better than a short one. */
  #quantile(share: number): number {
    let left = Math.ceil(share * this.#total);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket] as number;
      if (left <= 0) return GROWTH ** bucket;
    }
    return GROWTH ** (BUCKETS - 1);
  }
}
