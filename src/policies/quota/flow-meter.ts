import type { QuotaReading } from '../../http/rate-limit.ts';
import { LONGEST_PACE_MS, type Meter, type Sight, unitMs } from './meter.ts';

/** A quota that flows back all the time, as a bucket that leaks: an estimate that is too low heals by itself. */
export class FlowMeter implements Meter {
  readonly bucket: string;
  readonly policy: string;
  readonly unit: QuotaReading['unit'];
  limit: number;
  /** Below zero when more is on its way than is left; right as of `#at`. */
  #left = Infinity;
  #at = -Infinity;
  #unitMs: number;
  #learnedAt = -Infinity;

  constructor(reading: QuotaReading) {
    this.bucket = reading.bucket;
    this.policy = reading.policy;
    this.unit = reading.unit;
    this.limit = reading.limit ?? 1;
    this.#unitMs = unitMs(reading.limit, reading.windowMs);
  }

  learn(reading: QuotaReading, { unseen }: Sight, now: number): void {
    if (reading.remaining === undefined) return;
    this.#flow(now);
    this.limit = reading.limit ?? this.limit;
    this.#unitMs = unitMs(reading.limit, reading.windowMs);
    this.#left = Math.min(this.#left, reading.remaining - unseen);
    this.#learnedAt = now;
  }

  readyAt(ahead: number, units: number, now: number): number {
    this.#flow(now);
    const missing = ahead + Math.min(units, this.limit) - this.#left;
    return missing <= 0 ? -Infinity : now + missing * this.#unitMs;
  }

  take(units: number, now: number): void {
    this.#flow(now);
    this.#left -= units;
  }

  refund(units: number, _takenAt: number, leftAt: number | undefined): void {
    if (leftAt === undefined || this.#learnedAt < leftAt)
      this.#left = Math.min(this.limit, this.#left + units);
  }

  overdrawn(units: number, now: number): boolean {
    this.#flow(now);
    return this.#left + units < Math.min(units, this.limit);
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

  #flow(now: number): void {
    const flowed = this.#unitMs === 0 ? this.limit : (now - this.#at) / this.#unitMs;
    if (this.#at !== -Infinity) this.#left = Math.min(this.limit, this.#left + flowed);
    this.#at = now;
  }
}
