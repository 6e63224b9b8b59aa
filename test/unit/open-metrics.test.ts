import { expect, test } from 'vitest';
import { formatFor } from '../../src/telemetry/metrics/text-format.ts';
import { CallTrace } from '../../src/telemetry/tracing/call-trace.ts';
import { everythingHappens, metricsOf, scraped } from '../support/metrics.ts';
import { Story } from '../support/record.ts';

const OPEN = 'application/openmetrics-text';

/** As Prometheus 3 asks. */
const PROMETHEUS =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';

test.each([
  [undefined, 'text'],
  ['', 'text'],
  ['*/*', 'text'],
  ['text/plain', 'text'],
  [OPEN, 'openmetrics'],
  ['Application/OpenMetrics-Text; version=1.0.0', 'openmetrics'],
  [PROMETHEUS, 'openmetrics'],
  [`${OPEN};q=0.3, text/plain;q=0.5`, 'text'],
  [`${OPEN};q=0`, 'text'],
  [`${OPEN};q=x`, 'text'],
])('Accept: %s gets %s', (accept, format) => {
  expect(formatFor(accept)).toBe(format);
});

async function withExemplar() {
  const metrics = metricsOf();
  for (const [traceId, ms] of [
    ['first', 20],
    ['latest', 22],
    [undefined, 24],
    ['slow', 700],
  ] as const) {
    const trace =
      traceId &&
      new CallTrace({
        parent: { traceId, parentId: '1', sampled: true },
        startedAt: 5_000,
        propagates: true,
      });
    (await new Story(metrics, { trace }).attempt(200, ms)).end();
  }
  return metrics;
}

test('a bucket has the latest traced call as its exemplar', async () => {
  const text = await scraped(await withExemplar(), OPEN);
  const buckets = text
    .split('\n')
    .filter((line) => line.startsWith('breakwater_request_duration_seconds_bucket'));
  const exemplars = buckets.flatMap((line) => /le="([^"]+)"} (.*#.*)/.exec(line)?.slice(1) ?? []);
  expect(exemplars).toEqual([
    '0.025',
    '3 # {trace_id="latest"} 0.022 5.022',
    '1',
    '4 # {trace_id="slow"} 0.7 5.700',
  ]);
});

test('the text format has no exemplars', async () => {
  expect(await scraped(await withExemplar())).not.toContain('trace_id');
});

test('OpenMetrics names a counter without _total, has no empty line, and ends with EOF', async () => {
  const metrics = metricsOf();
  await everythingHappens(metrics);
  const text = await scraped(metrics, OPEN);
  expect(text).toContain('# TYPE breakwater_requests counter\nbreakwater_requests_total{');
  expect(text).toContain('# TYPE process_cpu_user_seconds counter\nprocess_cpu_user_seconds_total ');
  expect(text).not.toMatch(/\n\n|_total counter/);
  expect(text).toMatch(/\n# EOF\n$/);
  // Both formats have the same samples.
  const names = (lines: string) => lines.split('\n').flatMap((line) => /^\w+/.exec(line) ?? []);
  expect(new Set(names(text))).toEqual(new Set(names(await scraped(metrics))));
});
