import type { Scenario } from '../../../src/simulate/scenario.ts';
import type { Reached } from '../../../src/simulate/upstream.ts';

/** One scenario, beginning at the same moment for everybody (epoch milliseconds). */
export interface Begin {
  readonly scenario: Scenario;
  readonly startAt: number;
}

export type UpstreamAsk = ({ readonly do: 'begin' } & Begin) | { readonly do: 'report' };

export interface UpstreamReport {
  /** Each attempt that reached it, times in ms from the start. */
  readonly reached: readonly Reached[];
  readonly served: number;
  /** Of those served, the ones whose connection had been closed meanwhile. */
  readonly wasted: number;
}

export interface LoadAsk extends Begin {
  readonly contender: string;
  readonly origin: string;
}

export interface LoadedCall {
  readonly target: string;
  readonly path: string;
  /** When it was to arrive, in ms from the start; `ms` counts from here, so that a late load process hides nothing. */
  readonly atMs: number;
  readonly ms: number;
  /** 0 if there was no reply. */
  readonly status: number;
}

export interface LoadReport {
  readonly calls: readonly LoadedCall[];
  /** How much later than scheduled calls were sent, in ms. */
  readonly lagP99Ms: number;
  readonly lagMaxMs: number;
}

/** Milliseconds since `startAt` on a monotonic clock. */
export function clockFrom(startAt: number): () => number {
  const zero = performance.now() + (startAt - Date.now());
  return () => performance.now() - zero;
}
