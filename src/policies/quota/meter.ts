import type { QuotaReading } from '../../http/rate-limit.ts';

/** What the attempt that brought a reading can have seen. */
export interface Sight {
  /** When the attempt left. */
  readonly startedAt: number;
  /** Units that have been taken since, so that the upstream cannot have counted them yet. */
  readonly unseen: number;
}

/** What one quota of an upstream has left, learned from its replies. */
export interface Meter {
  readonly bucket: string;
  readonly policy: string;
  readonly unit: QuotaReading['unit'];
  /** Units when it is whole; undefined where no reply has said. */
  readonly limit: number | undefined;
  learn(reading: QuotaReading, sight: Sight, now: number): void;
  /** When `units` may pass once `ahead` have passed before them; -Infinity where nothing holds them. */
  readyAt(ahead: number, units: number, now: number): number;
  take(units: number, now: number): void;
  /** Gives back what was taken at `takenAt` for an attempt that left at `leftAt`, unless what is known tells of it already. */
  refund(units: number, takenAt: number, leftAt: number | undefined): void;
  /** More was let go than there is, so that one of `units` that has not left yet must stay. */
  overdrawn(units: number, now: number): boolean;
  /** Undefined where nothing is known. */
  remaining(now: number): number | undefined;
  /** Until it is whole again; undefined where nobody knows. */
  resetMs(now: number): number | undefined;
  /** Time between two units that makes what is left last until the reset, though not more than the limit over its window allows, nor above a second. */
  paceMs(now: number): number;
}

/** A quota is believed for this long at most; then a reply is needed that says it again. */
export const LONGEST_HOLD_MS = 24 * 3_600_000;

/** Pacing never holds a call for longer: to use up what is left is better than to be refused with some left. */
export const LONGEST_PACE_MS = 1000;

/** `(limit, window)` → time per unit; 0 where that is not known. */
export function unitMs(limit: number | undefined, windowMs: number | undefined): number {
  return limit === undefined || windowMs === undefined || limit === 0 ? 0 : windowMs / limit;
}
