import type { QuotaReading } from '../../http/rate-limit.ts';
import {
  LONGEST_HOLD_MS,
  LONGEST_PACE_MS,
  type Meter,
  type ReadingContext,
  type SentAt,
  unitMs,
} from './meter.ts';

/** Below this share, the rest of a quota is spread over the time to its reset, if the reset is near. */
const SCARCE = 0.1;
const NEAR_MS = 60_000;

/** Resets are given in whole seconds, so the same reset may appear to move by this much. */
const ROUNDING_MS = 1000;

/**
 * A quota that is full again at a reset. Between two resets the estimate only falls: a higher reading is late, or does not
 * include the latest calls. After a reset it is the newest reading if that names a later reset (sliding windows), otherwise
 * the full limit.
 */
export class WindowMeter implements Meter {
  readonly bucket: string;
  readonly policy: string;
  readonly unit: QuotaReading['unit'];
  limit: number | undefined = undefined;
  #windowMs: number | undefined = undefined;
  /** Infinity: unknown. Negative if more units are on their way than are left. */
  #left = Infinity;
  /** Infinity: no reset is expected. */
  #resetAt = Infinity;
  /** From the first reading after a reset to the next reset: the estimated length of the next window. */
  #spanMs = 0;
  /** No reading has come since the last reset. */
  #guessed = true;
  /** The moment of the last applied reset. */
  #since = -Infinity;
  /** The newest reading since the last reset, less the units that the upstream has not counted yet; Infinity: there is none. */
  #newestLeft = Infinity;
  #newestResetAt = -Infinity;
  /** When the attempt of that reading left. */
  #newestFrom = -Infinity;
  #takenAt = -Infinity;
  #learnedAt = -Infinity;

  constructor({ bucket, policy, unit }: Pick<QuotaReading, 'bucket' | 'policy' | 'unit'>) {
    this.bucket = bucket;
    this.policy = policy;
    this.unit = unit;
  }

  /** When the latest window began; -Infinity if that was before the first reading. */
  get since(): number {
    return this.#since;
  }

  /** Milliseconds of a window, as stated or as estimated from the resets. */
  get lengthMs(): number {
    return this.#windowMs ?? this.#spanMs;
  }

  /** No reading of the latest window is known. */
  get isGuessed(): boolean {
    return this.#guessed;
  }

  learn(reading: QuotaReading, { startedAt, unseen }: ReadingContext, now: number): void {
    this.#roll(now);
    const { remaining, limit = this.limit, windowMs = this.#windowMs, resetMs = windowMs } = reading;
    // An attempt that left before the reset reports the window before it.
    if (startedAt < this.#since || remaining === undefined) return;
    // A limit of 0 would hold for ever. An API that means that answers 403.
    this.limit = limit || undefined;
    this.#windowMs = windowMs;
    // Without a reset the end of the limit is unknown.
    if (resetMs === undefined) return;
    this.#learnedAt = now;
    this.#apply(remaining - unseen, now + Math.min(resetMs, LONGEST_HOLD_MS), startedAt, now);
  }

  #apply(left: number, resetAt: number, startedAt: number, now: number): void {
    if (startedAt > this.#newestFrom) {
      this.#newestLeft = left;
      this.#newestResetAt = resetAt;
      this.#newestFrom = startedAt;
    } else if (startedAt === this.#newestFrom) this.#newestLeft = Math.min(this.#newestLeft, left);
    this.#left = Math.min(this.#left, left);
    if (this.#guessed) {
      this.#resetAt = resetAt;
      this.#spanMs = resetAt - now;
    }
    this.#guessed = false;
  }

  readyAt(ahead: number, units: number, now: number): number {
    this.#roll(now);
    const wanted = ahead + Math.min(units, this.limit ?? Infinity);
    if (this.#left >= wanted) return this.#pacedAt(now);
    // Full windows between the reset and the window in which the call may pass.
    const windows = this.limit === undefined ? 0 : Math.ceil((wanted - this.#left) / this.limit) - 1;
    return windows > 0 ? this.#resetAt + windows * (this.#windowMs ?? 0) : this.#resetAt;
  }

  take(units: number, now: number): void {
    this.#roll(now);
    this.#takenAt = now;
    this.#change(-units);
  }

  refund(units: number, takenAt: number, leftAt: number | undefined): void {
    if (takenAt < this.#since || (leftAt !== undefined && this.#learnedAt >= leftAt)) return;
    this.#change(units);
  }

  correct(units: number, actual: number, { takenAt, leftAt }: SentAt, now: number): void {
    this.#roll(now);
    if (takenAt < this.#since) return;
    const back = this.#bounded(units) - this.#bounded(actual);
    if (this.#learnedAt < leftAt) this.#change(back);
    else if (back > 0) this.#left = Math.min(this.#left + back, this.#newestLeft);
  }

  #change(units: number): void {
    const change = this.#bounded(units);
    this.#left += change;
    this.#newestLeft += change;
  }

  /** A call with a cost above the limit takes the limit. */
  #bounded(units: number): number {
    const most = this.limit ?? Infinity;
    return Math.max(-most, Math.min(most, units));
  }

  overdrawn(units: number, now: number): boolean {
    this.#roll(now);
    const own = Math.min(units, this.limit ?? Infinity);
    return this.#left + own < own;
  }

  /** The reading already says what is left until the reset. */
  observe(): void {}

  testAnswered(_units: number, now: number): boolean {
    return this.remaining(now) === 0;
  }

  remaining(now: number): number | undefined {
    this.#roll(now);
    return this.#left === Infinity ? undefined : Math.max(0, this.#left);
  }

  resetMs(now: number): number | undefined {
    this.#roll(now);
    return this.#resetAt === Infinity ? undefined : this.#resetAt - now;
  }

  reading(now: number): QuotaReading | undefined {
    const resetMs = this.resetMs(now);
    if (this.#guessed || resetMs === undefined) return undefined;
    const { bucket, limit, policy, unit } = this;
    const remaining = Math.max(0, Math.floor(this.#left));
    return {
      bucket,
      policy,
      resource: '',
      unit,
      limit,
      remaining,
      resetMs,
      windowMs: this.#windowMs,
      continuous: false,
    };
  }

  fullMs(now: number): number | undefined {
    return this.resetMs(now);
  }

  paceMs(now: number): number {
    const resetMs = this.resetMs(now);
    if (resetMs === undefined) return 0;
    const rest = resetMs / Math.max(1, this.#left);
    return Math.min(LONGEST_PACE_MS, Math.max(unitMs(this.limit, this.#windowMs), rest));
  }

  #pacedAt(now: number): number {
    const scarce = this.limit !== undefined && this.#left <= this.limit * SCARCE;
    return scarce && this.#resetAt - now <= NEAR_MS ? this.#takenAt + this.paceMs(now) : -Infinity;
  }

  #roll(now: number): void {
    const passed = this.#resetAt;
    if (now < passed) return;
    this.#since = passed;
    if (this.#newestResetAt > Math.max(now, passed + ROUNDING_MS)) {
      this.#left = this.#newestLeft;
      this.#resetAt = this.#newestResetAt;
      return;
    }
    // Full again; the next reply should confirm it. After a second reset without a reading, nothing is known.
    const guess = this.#guessed ? undefined : this.limit;
    this.#left = guess ?? Infinity;
    this.#resetAt = guess === undefined ? Infinity : now + (this.#windowMs ?? this.#spanMs);
    this.#newestLeft = Infinity;
    this.#newestResetAt = -Infinity;
    this.#newestFrom = -Infinity;
    this.#guessed = true;
  }
}
