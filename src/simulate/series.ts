import type { Run } from './simulate.ts';

/** Counts of one column of a chart. */
export interface Bucket {
  /** Start, in seconds from the beginning of the fault. */
  readonly atSeconds: number;
  /** Share of the requests that arrived in it and succeeded; undefined without requests. */
  readonly success: number | undefined;
  readonly requestsPerSecond: number;
  /** Attempts that reached the upstream. */
  readonly attemptsPerSecond: number;
}

/** How much of the time before and after the fault a chart shows. */
const BEFORE_MS = 20_000;
const AFTER_MS = 60_000;

/** The run from shortly before the fault to the end of the minute after it, in `count` equal buckets. */
export function seriesOf({ calls, reached, scenario }: Run, count: number): Bucket[] {
  const { faultAtMs, faultMs, endMs } = scenario;
  const fromMs = Math.max(0, faultAtMs - BEFORE_MS);
  const bucketMs = (Math.min(endMs, faultAtMs + faultMs + AFTER_MS) - fromMs) / count;
  const requests = new Float64Array(count);
  const successes = new Float64Array(count);
  const attempts = new Float64Array(count);
  const add = (counts: Float64Array, at: number) => {
    const index = Math.floor((at - fromMs) / bucketMs);
    if (index >= 0 && index < count) counts[index] = (counts[index] ?? 0) + 1;
  };
  for (const { atMs, ok } of calls) {
    add(requests, atMs);
    if (ok) add(successes, atMs);
  }
  for (const { atMs } of reached) add(attempts, atMs);
  const perSecond = (n: number | undefined) => ((n ?? 0) * 1_000) / bucketMs;
  return Array.from({ length: count }, (_, index) => ({
    atSeconds: (fromMs + index * bucketMs - faultAtMs) / 1_000,
    success: requests[index] ? (successes[index] ?? 0) / requests[index] : undefined,
    requestsPerSecond: perSecond(requests[index]),
    attemptsPerSecond: perSecond(attempts[index]),
  }));
}
