import type { QuotaReading } from '../../http/rate-limit.ts';

/** The attempt that brought a reading. */
export interface ReadingContext {
  /** When the attempt left. */
  readonly startedAt: number;
  /** Units taken since it left. The upstream cannot have counted them yet. */
  readonly unseen: number;
  /** Units of all attempts that have no result. */
  readonly unanswered: number;
}

/** When an attempt took its units, and when it left. */
export interface SentAt {
  readonly takenAt: number;
  readonly leftAt: number;
}

/** The remainder of one quota of an upstream, learned from its replies. */
export interface Meter {
  readonly bucket: string;
  readonly policy: string;
  readonly unit: QuotaReading['unit'];
  /** Units of the full quota; undefined if no reply has said. */
  readonly limit: number | undefined;
  /** True if no reading of the latest window is known. */
  readonly isGuessed?: boolean;
  learn(reading: QuotaReading, context: ReadingContext, now: number): void;
  /** When `units` may pass after `ahead` units; -Infinity if nothing holds them. */
  readyAt(ahead: number, units: number, now: number): number;
  take(units: number, now: number): void;
  /** Returns units taken at `takenAt` for an attempt that left at `leftAt`, unless a later reading includes them already. */
  refund(units: number, takenAt: number, leftAt: number | undefined): void;
  /**
   * Units taken at `takenAt`, for an attempt that left at `leftAt`, have cost `actual`. A later reading includes them as the
   * upstream counts them, so the estimate does not rise above it.
   */
  correct(units: number, actual: number, sent: SentAt, now: number): void;
  /** True if more was admitted than is left, so that an attempt of `units` that has not left must wait. */
  overdrawn(units: number, now: number): boolean;
  /**
   * An attempt of `units` had a result; call it after the reading of its reply. `refused`: too many, although the meter had let it
   * pass.
   */
  observe(units: number, startedAt: number, refused: boolean, now: number): void;
  /** A call of `units` was answered, which was sent as a test, although the meter held it. True: the meter must be wrong. */
  testAnswered(units: number, now: number): boolean;
  /** Units; undefined if unknown. */
  remaining(now: number): number | undefined;
  /** Milliseconds until the quota is full again; undefined if unknown. */
  resetMs(now: number): number | undefined;
  /** Milliseconds after which units that are used now are there again; undefined if unknown. */
  fullMs(now: number): number | undefined;
  /** The estimate until the next reset, as if the upstream had stated it now; undefined if that is a guess. Only of windows. */
  reading?(now: number): QuotaReading | undefined;
  /** Only if replicas share its units: those that all waiting calls need, and those of the first of them. */
  wanted?(units: number, first: number, now: number): void;
  /** Milliseconds between two units, so that the rest lasts until the reset. At least the window divided by the limit, at most a second. */
  paceMs(now: number): number;
}

/** Milliseconds. Sums of fractions of a millisecond are not exact, and a timer is coarser than this. */
export const TOLERANCE_MS = 1e-3;

/** The longest time for which a reading holds without a newer one. */
export const LONGEST_HOLD_MS = 24 * 3_600_000;

/** Pacing never holds a call for longer: using up the quota is better than refusing calls with some of it left. */
export const LONGEST_PACE_MS = 1000;

/** Milliseconds per unit; 0 if unknown. */
export function unitMs(limit: number | undefined, windowMs: number | undefined): number {
  return limit === undefined || windowMs === undefined || limit === 0 ? 0 : windowMs / limit;
}
