import { type Span, SPANS, type TrafficSeries, type TrafficSummary } from '../telemetry/traffic/series.ts';
import type { AdminDeps } from './deps.ts';
import { parametersOf } from './query.ts';
import { AdminProblem } from './response.ts';

/** Upstreams in one answer. Each has about 20 KB. */
const MOST_UPSTREAMS = 50;

/** The body of `GET /api/traffic?span=15m&upstream=…`: one value for each interval, oldest first. */
export function trafficJson(
  { traffic, state }: Pick<AdminDeps, 'traffic' | 'state'>,
  query: URLSearchParams,
) {
  const parameter = parametersOf(query, { single: ['span'], repeated: ['upstream'] });
  const span = spanOf(parameter('span') ?? '15m');
  const asked = query.getAll('upstream');
  const known = Array.from(state.upstreams(), ({ name }) => name);
  const names = known.filter((name) => asked.length === 0 || asked.includes(name));
  const shown = names.slice(0, MOST_UPSTREAMS);
  return {
    span,
    upstreams: shown.flatMap((name) => {
      const series = traffic.series(name, span);
      return series === undefined ? [] : [seriesJson(name, series)];
    }),
    left_out: names.length - shown.length,
  };
}

function spanOf(text: string): Span {
  const span = SPANS.find((one) => one === text);
  if (span === undefined) throw new AdminProblem(400, `span "${text}": write one of ${SPANS.join(', ')}`);
  return span;
}

function seriesJson(name: string, series: TrafficSeries) {
  const { stepMs, from, calls, attempts, refusals, p50, p95, p99, quotaLeft, quotaWaiting } = series;
  return {
    name,
    from: new Date(from).toISOString(),
    step_ms: stepMs,
    calls,
    attempts,
    refusals,
    p50_ms: p50,
    p95_ms: p95,
    p99_ms: p99,
    quota_left: quotaLeft,
    quota_waiting: quotaWaiting,
    breaker: series.breaker,
    cooldown: series.cooldown,
    events: series.events.map(({ at, forMs, ...event }) => ({
      at: new Date(at).toISOString(),
      ...event,
      for_ms: forMs === undefined ? undefined : Math.round(forMs),
    })),
  };
}

/** The last minute of an upstream; undefined without traffic since the start. */
export function summaryJson(summary: TrafficSummary | undefined) {
  if (summary === undefined) return undefined;
  const { calls, attempts, rejected, failed, effectiveSuccess, actualSuccess, p50, p95 } = summary;
  return {
    calls,
    attempts,
    rejected,
    failed,
    effective_success: share(effectiveSuccess),
    actual_success: share(actualSuccess),
    p50_ms: p50 && Math.round(p50),
    p95_ms: p95 && Math.round(p95),
  };
}

const share = (value: number | undefined): number | undefined =>
  value === undefined ? undefined : Math.round(value * 10_000) / 10_000;
