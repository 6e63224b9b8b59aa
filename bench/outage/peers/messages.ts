import type { Scenario } from '../../../src/simulate/scenario.ts';
import type { Reached } from '../../../src/simulate/upstream.ts';

/** One scenario, with the same start for all processes (epoch milliseconds). */
export interface Begin {
  readonly scenario: Scenario;
  readonly startAt: number;
}

export type UpstreamAsk = ({ readonly do: 'begin' } & Begin) | { readonly do: 'report' };

export interface UpstreamReport {
  /** Attempts that reached the upstream, times in ms from the start. */
  readonly reached: readonly Reached[];
  readonly served: number;
  /** Served requests whose connection had closed before the reply. */
  readonly wasted: number;
}

export interface LoadAsk extends Begin {
  readonly contender: string;
  readonly origin: string;
}

export interface LoadedCall {
  readonly target: string;
  readonly path: string;
  /** The scheduled arrival, in ms from the start. `ms` counts from here, so that a late load process hides no delay. */
  readonly atMs: number;
  readonly ms: number;
  /** 0 if there was no reply. */
  readonly status: number;
}

export interface LoadReport {
  readonly calls: readonly LoadedCall[];
  /** The delay of calls against their schedule, in ms. */
  readonly lagP99Ms: number;
  readonly lagMaxMs: number;
}

/** Milliseconds since `startAt` on a monotonic clock. */
export function clockFrom(startAt: number): () => number {
  const zero = performance.now() + (startAt - Date.now());
  return () => performance.now() - zero;
}
