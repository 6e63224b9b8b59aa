import type { QuotaReading } from '../../http/rate-limit.ts';
import { LONGEST_HOLD_MS, LONGEST_PACE_MS, type Meter, type Sight, unitMs } from './meter.ts';

/** When this share of a quota is left, it is spread over the time to its reset, if that is near. */
const SCARCE = 0.1;
const NEAR_MS = 60_000;

/** Resets are told in whole seconds: the same one may seem to move by as much. */
const ROUNDING_MS = 1000;

/** A reading as it holds here and now. */
interface Told {
  left: number;
  readonly resetAt: number;
  readonly startedAt: number;
}

/**
 * A quota that comes back whole at a reset. Between two resets the estimate only falls: a reading that is higher was
 * overtaken on its way, or does not know yet what has been sent since. At the reset it starts anew, with the newest reading
 * if that speaks of a later reset (windows that slide), else with the whole limit.
 */
export class WindowMeter implements Meter {
  readonly bucket: string;
  readonly policy: string;
  readonly unit: QuotaReading['unit'];
  limit: number | undefined = undefined;
  #windowMs: number | undefined = undefined;
  /** Infinity: unknown. Below zero when more is on its way than is left. */
  #left = Infinity;
  /** Infinity: there is no reset to come. */
  #resetAt = Infinity;
  /** From the first reading after a reset to the next reset: about how long the next one takes. */
  #spanMs = 0;
  /** No reply has spoken since the last reset. */
  #guessed = true;
  /** The moment of the last applied reset. */
  #since = -Infinity;
  #newest: Told | undefined;
  #takenAt = -Infinity;
  #learnedAt = -Infinity;

  constructor({ bucket, policy, unit }: Pick<QuotaReading, 'bucket' | 'policy' | 'unit'>) {
    this.bucket = bucket;
    this.policy = policy;
    this.unit = unit;
  }

  learn(reading: QuotaReading, { startedAt, unseen }: Sight, now: number): void {
    this.#roll(now);
    const { remaining, limit = this.limit, windowMs = this.#windowMs, resetMs = windowMs } = reading;
    // Whoever started before the reset tells of the time before it.
    if (startedAt < this.#since || remaining === undefined) return;
    // A limit of nothing would hold for ever; who means that says it by 403.
    [this.limit, this.#windowMs] = [limit || undefined, windowMs];
    // Nobody can say until when it would hold.
    if (resetMs === undefined) return;
    this.#learnedAt = now;
    this.#apply(
      { left: remaining - unseen, resetAt: now + Math.min(resetMs, LONGEST_HOLD_MS), startedAt },
      now,
    );
  }

  #apply(told: Told, now: number): void {
    if (this.#newest === undefined || told.startedAt > this.#newest.startedAt) this.#newest = told;
    else if (told.startedAt === this.#newest.startedAt)
      this.#newest.left = Math.min(this.#newest.left, told.left);
    this.#left = Math.min(this.#left, told.left);
    if (this.#guessed) [this.#resetAt, this.#spanMs] = [told.resetAt, told.resetAt - now];
    this.#guessed = false;
  }

  readyAt(ahead: number, units: number, now: number): number {
    this.#roll(now);
    const wanted = ahead + Math.min(units, this.limit ?? Infinity);
    if (this.#left >= wanted) return this.#pacedAt(now);
    // Whole windows between the reset and the one in which it is its turn.
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

  /** A call that claims to cost more than the limit takes the limit. */
  #change(units: number): void {
    const most = this.limit ?? Infinity;
    const change = Math.max(-most, Math.min(most, units));
    this.#left += change;
    if (this.#newest !== undefined) this.#newest.left += change;
  }

  overdrawn(units: number, now: number): boolean {
    this.#roll(now);
    const own = Math.min(units, this.limit ?? Infinity);
    return this.#left + own < own;
  }

  remaining(now: number): number | undefined {
    this.#roll(now);
    return this.#left === Infinity ? undefined : Math.max(0, this.#left);
  }

  resetMs(now: number): number | undefined {
    this.#roll(now);
    return this.#resetAt === Infinity ? undefined : this.#resetAt - now;
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
    const newest = this.#newest;
    if (newest !== undefined && newest.resetAt > Math.max(now, passed + ROUNDING_MS)) {
      this.#left = newest.left;
      this.#resetAt = newest.resetAt;
      return;
    }
    // Whole again, and about to be told so; where two resets pass without a word, nothing is known any more.
    const guess = this.#guessed ? undefined : this.limit;
    this.#left = guess ?? Infinity;
    this.#resetAt = guess === undefined ? Infinity : now + (this.#windowMs ?? this.#spanMs);
    this.#newest = undefined;
    this.#guessed = true;
  }
}
