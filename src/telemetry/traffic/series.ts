import type { Clock } from '../../runtime/clock.ts';
import {
  COLUMNS,
  COOLDOWN,
  HALF_OPEN,
  OPEN,
  quantile,
  type REFUSALS,
  RESULTS,
  STATES_AT,
  OUTCOMES,
  WIDTH,
} from './columns.ts';
import type { Ring } from './ring.ts';
import type { UpstreamTraffic } from './upstream-traffic.ts';

export const SPANS = ['15m', '6h'] as const;

export type Span = (typeof SPANS)[number];

type Counts<Names extends readonly string[]> = { readonly [Name in Names[number]]?: readonly number[] };

/** One value for each interval, oldest first. Names without any count are left out. */
export interface TrafficSeries {
  readonly stepMs: number;
  /** Start of the first interval, in ms since the Unix epoch. */
  readonly from: number;
  readonly calls: Counts<typeof OUTCOMES>;
  readonly attempts: Counts<typeof RESULTS>;
  readonly refusals: Counts<typeof REFUSALS>;
  /** Time to the head in ms; null without a call. */
  readonly p50: readonly (number | null)[];
  readonly p95: readonly (number | null)[];
  readonly p99: readonly (number | null)[];
  /** Share that is left of the scarcest quota, 0 to 1; null if unknown. */
  readonly quotaLeft: readonly (number | null)[] | undefined;
  readonly quotaWaiting: readonly number[] | undefined;
  /** The worst state of a breaker in the interval: 0 closed, 1 half-open, 2 open. */
  readonly breaker: readonly number[];
  /** 1 if calls of a credential were held back by a quota cooldown. */
  readonly cooldown: readonly number[];
  /** Changes, oldest first. `at` is in ms since the Unix epoch. */
  readonly events: UpstreamTraffic['events'];
}

export function seriesOf(traffic: UpstreamTraffic, span: Span, clock: Clock): TrafficSeries {
  const ring = span === '15m' ? traffic.fine : traffic.coarse;
  const indexes = ring.indexes();
  const wall = clock.wallTime() - clock.now();
  const extra = span === '15m' ? undefined : traffic.fine;
  const of = (column: number) => indexes.map((index) => countAt(ring, index, column, extra));
  const named = (columns: readonly (readonly [string, number])[]) =>
    Object.fromEntries(
      columns
        .map(([name, column]) => [name, of(column)] as const)
        .filter(([, counts]) => counts.some((n) => n > 0)),
    );
  const times = indexes.map((index) => timesOf(ring, index, extra));
  const states = of(STATES_AT);
  const from = (ring.latest + 1 - ring.length) * ring.stepMs + wall;
  return {
    stepMs: ring.stepMs,
    from: Math.round(from),
    calls: named(COLUMNS.outcomes),
    attempts: named(COLUMNS.attempts),
    refusals: named(COLUMNS.refusals),
    p50: times.map((counts) => rounded(quantile(counts, 0.5))),
    p95: times.map((counts) => rounded(quantile(counts, 0.95))),
    p99: times.map((counts) => rounded(quantile(counts, 0.99))),
    ...gauges(ring, indexes),
    breaker: states.map((bits) => (bits & OPEN ? 2 : bits & HALF_OPEN ? 1 : 0)),
    cooldown: states.map((bits) => (bits & COOLDOWN ? 1 : 0)),
    events: traffic.events.map((event) => ({ ...event, at: Math.round(event.at + wall) })),
  };
}

/** The latest coarse interval does not have the counts of the fine interval that is not over yet. */
function countAt(ring: Ring, index: number, column: number, fine: Ring | undefined): number {
  const stored = ring.counts[index * WIDTH + column] ?? 0;
  if (fine === undefined || index !== ring.index || column === STATES_AT) return stored;
  return stored + (fine.counts[fine.base + column] ?? 0);
}

function timesOf(ring: Ring, index: number, fine: Ring | undefined): Uint32Array {
  return Uint32Array.from({ length: WIDTH }, (_, column) => countAt(ring, index, column, fine));
}

function gauges(ring: Ring, indexes: readonly number[]): Pick<TrafficSeries, 'quotaLeft' | 'quotaWaiting'> {
  const left = indexes.map((index) => ring.left[index] ?? Number.NaN);
  const waiting = indexes.map((index) => ring.waiting[index] ?? 0);
  return {
    quotaLeft: left.every(Number.isNaN)
      ? undefined
      : left.map((share) => (Number.isNaN(share) ? null : Math.round(share * 1_000) / 1_000)),
    quotaWaiting: waiting.some((n) => n > 0) ? waiting : undefined,
  };
}

const rounded = (ms: number | undefined): number | null =>
  ms === undefined ? null : ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms);

/** The last minute of an upstream. */
export interface TrafficSummary {
  readonly calls: number;
  /** Calls that succeeded, retries and fallbacks included, among `calls` without those whose client left. */
  readonly effectiveSuccess: number | undefined;
  /** Attempts that succeeded. */
  readonly actualSuccess: number | undefined;
  readonly attempts: number;
  readonly p50: number | undefined;
  readonly p95: number | undefined;
  readonly rejected: number;
  readonly failed: number;
}

/** The intervals of the last minute that are over, and the one that is not. */
const MINUTE_INTERVALS = 12;

export function summaryOf({ fine }: UpstreamTraffic): TrafficSummary {
  const sums = new Uint32Array(WIDTH);
  for (let age = 0; age <= MINUTE_INTERVALS; age++) {
    const base = ((fine.latest - age + fine.length) % fine.length) * WIDTH;
    for (let column = 0; column < STATES_AT; column++)
      sums[column] = (sums[column] ?? 0) + (fine.counts[base + column] ?? 0);
  }
  const sum = (columns: readonly (readonly [string, number])[], names: readonly string[]) =>
    columns.reduce((total, [name, column]) => total + (names.includes(name) ? (sums[column] ?? 0) : 0), 0);
  const calls = sum(COLUMNS.outcomes, OUTCOMES);
  const attempts = sum(COLUMNS.attempts, RESULTS);
  const decided = calls - sum(COLUMNS.outcomes, ['client_gone']);
  const ended = attempts - sum(COLUMNS.attempts, ['cut']);
  return {
    calls,
    effectiveSuccess:
      decided === 0 ? undefined : sum(COLUMNS.outcomes, ['ok', 'rescued', 'fallback']) / decided,
    actualSuccess: ended === 0 ? undefined : sum(COLUMNS.attempts, ['ok', '4xx']) / ended,
    attempts,
    p50: quantile(sums, 0.5),
    p95: quantile(sums, 0.95),
    rejected: sum(COLUMNS.outcomes, ['rejected']),
    failed: sum(COLUMNS.outcomes, ['failed', 'upstream_error', 'bug']),
  };
}
