import type { QuotaReading } from '../../http/rate-limit.ts';
import {
  LONGEST_HOLD_MS,
  LONGEST_PACE_MS,
  type Meter,
  type ReadingContext,
  type SentAt,
  unitMs,
} from './meter.ts';

/** A rate is read from a later reset only if that reset is at least this share as far ahead. The rounding of a near reset is too coarse. */
const AS_FAR = 0.5;

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
  #unitMs: number;
  #learnedAt = -Infinity;
  /** How far ahead the reset was from which the rate was read. */
  #readFromMs = 0;

  constructor(reading: QuotaReading) {
    this.bucket = reading.bucket;
    this.policy = reading.policy;
    this.unit = reading.unit;
    this.limit = reading.limit ?? 1;
    this.#unitMs = 0;
  }

  learn(reading: QuotaReading, { startedAt, unseen }: ReadingContext, now: number): void {
    if (reading.remaining === undefined) return;
    this.#flow(now);
    if (reading.limit !== this.limit) this.#readFromMs = 0;
    this.limit = reading.limit ?? this.limit;
    this.#readRate(reading);
    const left = reading.remaining - unseen;
    this.#left = Math.min(this.#left, left);
    if (startedAt >= this.#statedFrom) [this.#stated, this.#statedFrom] = [left, startedAt];
    this.#learnedAt = now;
  }

  /** Without a window, the reset is the moment when the bucket is full again, which gives the rate. */
  #readRate({ limit, remaining = 0, resetMs = 0, windowMs }: QuotaReading): void {
    if (windowMs !== undefined) {
      this.#unitMs = unitMs(limit, windowMs);
      return;
    }
    const missing = this.limit - remaining;
    if (missing <= 0 || resetMs <= 0 || resetMs < AS_FAR * this.#readFromMs) return;
    [this.#unitMs, this.#readFromMs] = [resetMs / missing, resetMs];
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

  overdrawn(units: number, now: number): boolean {
    this.#flow(now);
    const own = Math.min(units, this.limit);
    return this.#left + own < own;
  }

  remaining(now: number): number {
    this.#flow(now);
    return Math.max(0, this.#left);
  }

  resetMs(now: number): number {
    this.#flow(now);
    return (this.limit - this.#left) * this.#unitMs;
  }

  paceMs(): number {
    return Math.min(LONGEST_PACE_MS, this.#unitMs);
  }

  /** The readings no longer hold from this moment on. */
  get #forgottenAt(): number {
    return this.#learnedAt + LONGEST_HOLD_MS;
  }

  #flow(now: number): void {
    if (now >= this.#forgottenAt) [this.#unitMs, this.#readFromMs] = [0, 0];
    const flowed = this.#unitMs === 0 ? this.limit : (now - this.#at) / this.#unitMs;
    if (this.#at !== -Infinity) this.#change(flowed);
    this.#at = now;
  }
}
