import type { QuotaReading } from '../../http/rate-limit.ts';
import {
  LONGEST_HOLD_MS,
  LONGEST_PACE_MS,
  type Meter,
  type ReadingContext,
  type SentAt,
  TOLERANCE_MS,
  unitMs,
} from './meter.ts';

/**
 * A rate is read again only from a reading that lacks at least this share of the units. If few units are missing, rounding and a
 * wrong clock change the rate too much.
 */
const AS_MANY = 0.5;

/**
 * Others can take from the same bucket, and a stated rate can be wrong. So the rate is halved by a refusal, and grows by this share
 * of the stated rate with each answer (AIMD): about one call in twenty is refused while several share an empty bucket.
 */
const GROWTH = 0.01;
const SMALLEST_SHARE = 1 / 64;

/** A quota that refills continuously (a token bucket). An estimate that is too low corrects itself. */
export class FlowMeter implements Meter {
  readonly bucket: string;
  readonly policy: string;
  readonly unit: QuotaReading['unit'];
  limit: number;
  /** As of `#at`. Negative if more units are on their way than are left. */
  #left = Infinity;
  /** The newest reading, less the units taken since. */
  #stated = Infinity;
  /** When the attempt of the newest reading left. */
  #statedFrom = -Infinity;
  #at = -Infinity;
  /** By the stated rate. */
  #statedUnitMs = 0;
  /** The share of the stated rate that calls get. */
  #share = 1;
  #halvedAt = -Infinity;
  /** Units of answered tests, less those that came back since. */
  #tested = 0;
  #testedAt = -Infinity;
  #learnedAt = -Infinity;
  /** How many units were missing when the rate was read. */
  #readFrom = 0;

  constructor(reading: QuotaReading) {
    this.bucket = reading.bucket;
    this.policy = reading.policy;
    this.unit = reading.unit;
    this.limit = reading.limit ?? 1;
  }

  learn(reading: QuotaReading, { startedAt, unseen, unanswered }: ReadingContext, now: number): void {
    if (reading.remaining === undefined) return;
    this.#flow(now);
    if (reading.limit !== this.limit) this.#readFrom = 0;
    this.limit = reading.limit ?? this.limit;
    this.#readRate(reading);
    const left = reading.remaining - unseen;
    // If no reply has come since this attempt left, the reading includes all others but those without one.
    const surely = startedAt > this.#learnedAt ? reading.remaining - Math.max(unseen, unanswered) : -Infinity;
    this.#left = Math.max(surely, Math.min(this.#left, left));
    if (startedAt >= this.#statedFrom) [this.#stated, this.#statedFrom] = [left, startedAt];
    this.#learnedAt = now;
  }

  /** Without a window, the reset is the moment when the bucket is full again, which gives the rate. */
  #readRate({ limit, remaining = 0, resetMs = 0, windowMs }: QuotaReading): void {
    if (windowMs !== undefined) {
      this.#statedUnitMs = unitMs(limit, windowMs);
      return;
    }
    const missing = this.limit - remaining;
    if (missing <= 0 || resetMs <= 0 || missing < AS_MANY * this.#readFrom) return;
    [this.#statedUnitMs, this.#readFrom] = [resetMs / missing, missing];
  }

  readyAt(ahead: number, units: number, now: number): number {
    this.#flow(now);
    const missing = ahead + Math.min(units, this.limit) - this.#left;
    return missing <= 0 ? -Infinity : Math.min(now + missing * this.#unitMs, this.#forgottenAt);
  }

  take(units: number, now: number): void {
    this.#flow(now);
    this.#change(-Math.min(units, this.limit));
  }

  refund(units: number, _takenAt: number, leftAt: number | undefined): void {
    if (leftAt === undefined || this.#learnedAt < leftAt) this.#change(Math.min(units, this.limit));
  }

  correct(units: number, actual: number, { leftAt }: SentAt, now: number): void {
    this.#flow(now);
    const back = Math.min(units, this.limit) - Math.min(actual, this.limit);
    if (this.#learnedAt < leftAt) this.#change(back);
    else if (back > 0) this.#left = Math.min(this.#left + back, this.#stated);
  }

  #change(units: number): void {
    this.#left = Math.min(this.limit, this.#left + units);
    this.#stated = Math.min(this.limit, this.#stated + units);
  }

  observe(units: number, startedAt: number, refused: boolean, now: number): void {
    // Calls that were on their way together are refused together, and for one reason.
    if (startedAt <= this.#halvedAt) return;
    this.#flow(now);
    if (!refused) this.#share = Math.min(1, this.#share + GROWTH);
    else if (this.#left < Math.min(units, this.limit))
      [this.#share, this.#halvedAt] = [Math.max(SMALLEST_SHARE, this.#share / 2), now];
  }

  /** A call may leave a fraction of a unit early (`TOLERANCE_MS`), and must not be sent back for that. */
  overdrawn(_units: number, now: number): boolean {
    this.#flow(now);
    return -this.#left * this.#unitMs > TOLERANCE_MS;
  }

  /**
   * One answer proves little, because units come back all the time, and a stated rest is rounded down. The tests alone must have
   * used more than a bucket of one call and one unit, which refills at the stated rate.
   */
  testAnswered(units: number, now: number): boolean {
    const own = Math.min(units, this.limit);
    const refilled = this.#statedUnitMs === 0 ? Infinity : (now - this.#testedAt) / this.#statedUnitMs;
    this.#tested = Math.max(0, this.#tested - refilled) + own;
    this.#testedAt = now;
    return this.#tested > own + 1;
  }

  remaining(now: number): number {
    this.#flow(now);
    return Math.max(0, this.#left);
  }

  resetMs(now: number): number {
    this.#flow(now);
    return (this.limit - this.#left) * this.#unitMs;
  }

  fullMs(): number | undefined {
    return this.#unitMs === 0 ? undefined : this.limit * this.#unitMs;
  }

  paceMs(): number {
    return Math.min(LONGEST_PACE_MS, this.#unitMs);
  }

  get #unitMs(): number {
    return this.#statedUnitMs / this.#share;
  }

  /** Milliseconds in which an empty bucket is full again, by the stated rate; 0 if unknown. */
  protected get periodMs(): number {
    return this.limit * this.#statedUnitMs;
  }

  /** The readings no longer hold from this moment on. */
  get #forgottenAt(): number {
    return this.#learnedAt + LONGEST_HOLD_MS;
  }

  #flow(now: number): void {
    if (now >= this.#forgottenAt) [this.#statedUnitMs, this.#readFrom] = [0, 0];
    const flowed = this.#unitMs === 0 ? this.limit : (now - this.#at) / this.#unitMs;
    if (this.#at !== -Infinity) this.#change(flowed);
    this.#at = now;
  }
}
