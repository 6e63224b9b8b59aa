import type { QuotaWindow } from './options.ts';

/** Where the units of a configured window come from: counted in this process (`Gcra`), or leased from what replicas share. */
export interface TokenSource<Receipt = unknown> {
  /** The most units that one call takes. A higher cost counts as this. */
  readonly burst: number;
  /** When `units` may pass after `ahead` units, `now` at least. */
  readyAt(ahead: number, units: number, now: number): number;
  /** Takes units. Call at `readyAt` or later. The receipt is for `refund`. */
  take(units: number, now: number): Receipt;
  /** Returns units that were taken and not used. */
  refund(units: number, receipt: Receipt): void;
  /** Units that were taken have cost `actual`, less or more than `units`. */
  correct(units: number, actual: number): void;
  /** Units that are left, 0 to the limit. */
  remaining(now: number): number;
  /** Milliseconds until all units are available. */
  resetMs(now: number): number;
  /** Only where units are counted in this process: used ones that time has not refilled, and milliseconds until it has. */
  debt?(now: number): { readonly ms: number; readonly units: number };
  /** Only where units are counted in this process: so many were used before. */
  owe?(units: number, now: number): void;
  /** Only where units are leased: those that all waiting calls need, and those of the first of them. */
  wanted?(units: number, first: number): void;
}

/** Gives the sources of windows of one credential, in their order. */
export type TokenSources = (windows: readonly QuotaWindow[]) => readonly TokenSource[];
