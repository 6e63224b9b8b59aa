import type { QuotaReading } from '../../http/rate-limit.ts';
import type { Meter, ReadingContext, SentAt } from './meter.ts';
import { type LearnedUnits, type NumberedWindow, PATIENCE_MS } from './shared-credential.ts';
import type { TokenSource } from './token-source.ts';
import type { WindowMeter } from './window-meter.ts';

const ASK_AGAIN_MS = 1_000;

/**
 * A quota that is full again at a reset, whose units replicas share. Each replica reads the same rest of it, and could use all of
 * that. So a call also needs a unit that is leased from the store. There, each window of the upstream is counted by itself.
 */
export class SharedMeter implements Meter {
  readonly #own: WindowMeter;
  readonly #units: LearnedUnits;
  #tokens: TokenSource | undefined;
  #number: number | undefined;
  #limit: number | undefined;
  /** `since` of the window that `#tokens` are for; undefined: of none. */
  #countedSince: number | undefined;
  #asking = false;
  /** The store did not answer. */
  #alone: Alone | undefined;
  /** Then the store is asked again. */
  #askAgainAt = -Infinity;

  constructor(own: WindowMeter, units: LearnedUnits) {
    this.#own = own;
    this.#units = units;
  }

  get bucket(): string {
    return this.#own.bucket;
  }

  get policy(): string {
    return this.#own.policy;
  }

  get unit(): Meter['unit'] {
    return this.#own.unit;
  }

  get limit(): number | undefined {
    return this.#own.limit;
  }

  get isGuessed(): boolean {
    return this.#own.isGuessed;
  }

  learn(reading: QuotaReading, context: ReadingContext, now: number): void {
    this.#own.learn(reading, context, now);
    this.#follow(now);
  }

  readyAt(ahead: number, units: number, now: number): number {
    const at = this.#own.readyAt(ahead, units, now);
    if (!this.#isCounted(now)) return at;
    if (this.#units.away) this.#countAlone(now);
    const resetAt = now + Math.max(1, this.#own.resetMs(now) ?? 0);
    const most = Math.min(units, this.#own.limit ?? Infinity);
    if (this.#alone !== undefined) return ahead + most <= this.#alone.left ? at : Math.max(at, resetAt);
    // The store is asked when a call waits.
    if (this.#tokens === undefined || !this.#isCurrent) return Math.max(at, now + PATIENCE_MS);
    // With the reset, the units of the next window come.
    return Math.max(at, Math.min(this.#tokens.readyAt(ahead, most, now), resetAt));
  }

  wanted(units: number, first: number, now: number): void {
    if (!this.#isCounted(now)) return;
    if (this.#alone === undefined && this.#isCurrent) this.#tokens?.wanted?.(units, first);
    if (units > 0) this.#follow(now);
  }

  take(units: number, now: number): void {
    this.#own.take(units, now);
    if (this.#alone !== undefined) this.#alone.left -= units;
    if (this.#alone !== undefined) this.#follow(now);
    else if (this.#isCurrent) this.#tokens?.take(units, now);
  }

  refund(units: number, takenAt: number, leftAt: number | undefined): void {
    this.#own.refund(units, takenAt, leftAt);
    this.#correct(units, 0, takenAt);
  }

  correct(units: number, actual: number, sent: SentAt, now: number): void {
    this.#own.correct(units, actual, sent, now);
    this.#correct(units, actual, sent.takenAt);
  }

  overdrawn(units: number, now: number): boolean {
    return this.#own.overdrawn(units, now);
  }

  observe(): void {}

  testAnswered(units: number, now: number): boolean {
    return this.#own.testAnswered(units, now);
  }

  remaining(now: number): number | undefined {
    return this.#own.remaining(now);
  }

  resetMs(now: number): number | undefined {
    return this.#own.resetMs(now);
  }

  fullMs(now: number): number | undefined {
    return this.#own.fullMs(now);
  }

  paceMs(now: number): number {
    return this.#own.paceMs(now);
  }

  /** Whether enough is known about the limit to count it. Applies a reset that has passed. */
  #isCounted(now: number): boolean {
    const { limit, lengthMs } = this.#own;
    return limit !== undefined && lengthMs > 0 && this.#own.remaining(now) !== undefined;
  }

  get #isCurrent(): boolean {
    return this.#countedSince === this.#own.since && this.#limit === this.#own.limit;
  }

  #correct(units: number, actual: number, takenAt: number): void {
    if (takenAt < this.#own.since) return;
    if (this.#alone !== undefined) this.#alone.left += units - actual;
    else if (this.#isCurrent) this.#tokens?.correct(units, actual);
  }

  /** Without the store, each replica uses its share of what is left of the window. */
  #countAlone(now: number): void {
    const { limit = 0, since } = this.#own;
    if (this.#alone?.since === since) return;
    const left = this.#own.remaining(now) ?? limit;
    const share = Math.max(Math.min(1, left), Math.floor(left / this.#units.replicas));
    this.#alone = { since, share, left: share };
    this.#askAgainAt = now + ASK_AGAIN_MS;
  }

  /** Finds out which window is counted now, unless that is known. */
  #follow(now: number): void {
    if (this.#asking || this.#units.away || !this.#isCounted(now)) return;
    if (this.#alone === undefined ? this.#isCurrent : now < this.#askAgainAt) return;
    const { lengthMs, limit = 0, since } = this.#own;
    const used = limit - (this.#own.remaining(now) ?? limit);
    const ended = this.#countedSince === since ? undefined : this.#number;
    this.#asking = true;
    void this.#units.window(ended, this.#own.resetMs(now) ?? lengthMs, lengthMs).then((found) => {
      this.#asking = false;
      this.#askAgainAt = now + ASK_AGAIN_MS;
      if (found !== undefined) this.#count(found, { since, limit, used });
      else if (since === this.#own.since) this.#countAlone(now);
      this.#units.wake();
    });
  }

  /** Counts the units of a window in the store from now on. */
  #count(
    { first, number, windowMs }: NumberedWindow,
    { limit, since, used }: { limit: number; since: number; used: number },
  ): void {
    const usedAlone = this.#alone?.since === since ? this.#alone.share - this.#alone.left : 0;
    this.#alone = undefined;
    this.#number = number;
    this.#countedSince = since;
    this.#limit = limit;
    this.#tokens = this.#units.tokens(number, { limit, windowMs });
    // Units that were used before they were counted for all. The others have used as many alone, as far as is known.
    const usedByAll = Math.min(limit, Math.max(used, usedAlone * this.#units.replicas));
    this.#tokens.correct(0, first ? usedByAll : usedAlone);
  }
}

/** The share of one replica in the window that began at `since`, in units. */
interface Alone {
  readonly since: number;
  readonly share: number;
  left: number;
}
