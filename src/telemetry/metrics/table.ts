import {
  BUCKET_GAUGES,
  COUNTERS,
  DURATION_BUCKETS,
  HISTOGRAMS,
  ROUTE,
  SCOPE_GAUGES,
  TARGET_GAUGES,
  UPSTREAM_GAUGES,
} from './catalog.ts';
import { BREAKER_STATES } from './exposition.ts';
import { METRICS, NOTE_COUNTERS, NOTE_HISTOGRAMS } from './families.ts';

/** Every metric of ours as a Markdown table, for docs/metrics.md. */
export function renderMetricsTable(): string {
  const rows = METRICS.map(({ name, labels, help }) => {
    const shown = labels.length === 0 ? name : `${name}{${labels.join(',')}}`;
    return `| \`${shown}\` | ${help} |`;
  });
  return ['| Metric | Meaning |', '| --- | --- |', ...rows, ''].join('\n');
}

/** A histogram has a series for each bucket, for +Inf, for the sum and for the count. */
const PER_HISTOGRAM = DURATION_BUCKETS.length + 3;

/** How many series each part of a configuration has. All others are of the process, or of values that have occurred. */
export const SERIES_OF = {
  /** Of a route, from its first call. */
  route:
    (Object.keys(HISTOGRAMS).length + NOTE_HISTOGRAMS.size) * PER_HISTOGRAM +
    Object.values(COUNTERS).filter(({ labels }) => labels === ROUTE).length +
    [...NOTE_COUNTERS].filter(({ label }) => label === undefined).length,
  upstream: UPSTREAM_GAUGES.length,
  /** Of a set of policy state with all policies. */
  scope: SCOPE_GAUGES.length + BREAKER_STATES.length,
  /** Of a quota. */
  bucket: BUCKET_GAUGES.length,
  target: TARGET_GAUGES.length,
} as const;

/** How the number of series grows, for docs/metrics.md. */
export function renderSeriesRule(): string {
  const { bucket, route, scope, target, upstream } = SERIES_OF;
  return `The number of series grows with the configuration, and never with calls, clients, credentials or paths:

- ${route} for each route that has had a call, ${upstream} for each upstream;
- up to ${scope} for each scope, by the policies that it has, and ${bucket} for each of its quotas;
- ${target} for each target of an upstream. The metrics of its attempts have the label \`target\` then: ${PER_HISTOGRAM} more for each route and target;
- one for each combination of values that has occurred on a route: method, status and \`outcome\` of calls, \`result\` of attempts, \`reason\` of retries, and so
  on. All of them are closed sets. Methods and statuses beyond the known ones share one value.

A route in good health has about ${route + 4} series. A reload removes those of upstreams and targets that are gone.
`;
}
