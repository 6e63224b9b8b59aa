import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { HistogramCell } from '../../src/telemetry/metrics/cells.ts';
import { labelText } from '../../src/telemetry/metrics/label-text.ts';
import { gaugeLines } from '../../src/telemetry/metrics/text-format.ts';
import { renderSeriesRule, SERIES_OF } from '../../src/telemetry/metrics/table.ts';
import { METRICS as specs } from '../../src/telemetry/metrics/families.ts';
import type { Metrics } from '../../src/telemetry/metrics/registry.ts';
import { everythingHappens, FakeState, metricsOf, upstream, scraped } from '../support/metrics.ts';
import { rescuedStory, Story } from '../support/record.ts';

/** The samples of one metric as `labels value`, without its prefix. */
async function samples(metrics: Metrics, name: string): Promise<string[]> {
  const prefix = `breakwater_${name}`;
  const lines = (await scraped(metrics)).split('\n');
  return lines
    .filter((line) => line.startsWith(`${prefix}{`) || line.startsWith(`${prefix} `))
    .map((line) => line.slice(prefix.length));
}

const DEMO = 'upstream="demo",route="default"';

describe('calls', () => {
  test('are counted by method, status and outcome', async () => {
    const metrics = metricsOf();
    for (let i = 0; i < 3; i++) (await new Story(metrics).attempt(200)).end();
    (await new Story(metrics).attempt(503)).end({ status: 503 });
    (await rescuedStory(metrics, { method: 'PUT' })).end();
    expect(await samples(metrics, 'requests_total')).toEqual([
      `{${DEMO},method="GET",status="200",outcome="ok"} 3`,
      `{${DEMO},method="GET",status="503",outcome="upstream_error"} 1`,
      `{${DEMO},method="PUT",status="200",outcome="rescued"} 1`,
    ]);
    expect(await samples(metrics, 'rescued_requests_total')).toEqual([`{${DEMO}} 1`]);
  });

  test('of the same status but another outcome are another series', async () => {
    const metrics = metricsOf();
    (await new Story(metrics).attempt(200)).end();
    (await new Story(metrics).attempt(200)).end({ error: 'client_gone' });
    (await new Story(metrics).attempt(200)).end({ error: 'response_incomplete' });
    const outcomes = (await samples(metrics, 'requests_total')).map(
      (line) => /outcome="(\w+)"} 1/.exec(line)?.[1],
    );
    expect(outcomes).toEqual(['ok', 'client_gone', 'failed']);
  });

  test('cannot add series by methods, statuses or paths that somebody invents', async () => {
    const metrics = metricsOf();
    for (let i = 0; i < 50; i++) {
      const story = new Story(metrics, { method: `METHOD-${i}`, target: `/things/${i}`, id: `${i}` });
      (await story.attempt(200)).end({ status: 600 + i });
    }
    expect(await samples(metrics, 'requests_total')).toEqual([
      `{${DEMO},method="OTHER",status="other",outcome="upstream_error"} 50`,
    ]);
  });

  test('whose client left before a head have no status', async () => {
    const metrics = metricsOf();
    new Story(metrics).end({ status: 0, error: 'client_gone' });
    expect(await samples(metrics, 'requests_total')).toEqual([
      `{${DEMO},method="GET",status="none",outcome="client_gone"} 1`,
    ]);
  });

  test('are timed to their end in cumulative buckets', async () => {
    const metrics = metricsOf();
    for (const ms of [5, 6, 700, 200_000]) (await new Story(metrics).attempt(200, ms)).end();
    const buckets = await samples(metrics, 'request_duration_seconds_bucket');
    const at = (le: string) => buckets.find((line) => line.includes(`le="${le}"`))?.split(' ')[1];
    expect(['0.005', '0.01', '0.5', '1', '120', '+Inf'].map(at)).toEqual(['1', '2', '2', '3', '3', '4']);
    expect(await samples(metrics, 'request_duration_seconds_count')).toEqual([`{${DEMO}} 4`]);
    expect(await samples(metrics, 'request_duration_seconds_sum')).toEqual([`{${DEMO}} 200.711`]);
  });
});

describe('attempts', () => {
  test('are counted by result, while their call still runs', async () => {
    const metrics = metricsOf();
    const story = new Story(metrics);
    for (const result of [200, 304, 404, 429, 500, 503, 'connection_refused'] as const)
      await story.attempt(result);
    expect(await samples(metrics, 'attempts_total')).toEqual([
      `{${DEMO},result="ok"} 2`,
      `{${DEMO},result="4xx"} 1`,
      `{${DEMO},result="429"} 1`,
      `{${DEMO},result="5xx"} 2`,
      `{${DEMO},result="connection_refused"} 1`,
    ]);
    expect(await samples(metrics, 'attempt_duration_seconds_count')).toEqual([`{${DEMO}} 7`]);
    expect(await samples(metrics, 'requests_total')).toEqual([]);
  });

  test('after the first are retries, with their reason and wait', async () => {
    const metrics = metricsOf();
    await rescuedStory(metrics);
    expect(await samples(metrics, 'retries_total')).toEqual([`{${DEMO},reason="status_503"} 2`]);
    expect(await samples(metrics, 'backoff_seconds_count')).toEqual([`{${DEMO}} 2`]);
    expect(await samples(metrics, 'backoff_seconds_sum')).toEqual([`{${DEMO}} 1.712`]);
  });

  test('that were only planned are no retries', async () => {
    const metrics = metricsOf();
    const story = await new Story(metrics).attempt(503);
    await story.wait(1000, 'status_503', true);
    story.end({ status: 0, error: 'client_gone' });
    expect(await samples(metrics, 'retries_total')).toEqual([]);
  });
});

describe('refusals', () => {
  test('are counted once each; a shadow counts apart', async () => {
    const metrics = metricsOf();
    const breaker = new Story(metrics);
    breaker.record.note('rejected', 'breaker_open');
    breaker.end({ status: 503, origin: 'proxy', error: 'breaker_open' });
    new Story(metrics).end({ status: 503, origin: 'proxy', error: 'draining' });
    const shadow = new Story(metrics);
    shadow.record.note('shadow_rejected', 'breaker_open');
    (await shadow.attempt(200)).end();
    expect(await samples(metrics, 'rejected_total')).toEqual([
      `{${DEMO},reason="breaker_open"} 1`,
      `{${DEMO},reason="draining"} 1`,
    ]);
    expect(await samples(metrics, 'shadow_rejected_total')).toEqual([`{${DEMO},reason="breaker_open"} 1`]);
  });

  test('of a further attempt say which rule said no', async () => {
    const metrics = metricsOf();
    const { record } = new Story(metrics);
    record.note('retry_denied', 'budget');
    record.note('body_not_buffered', 'memory');
    record.note('queued', 250);
    expect(await samples(metrics, 'retries_denied_total')).toEqual([`{${DEMO},reason="budget"} 1`]);
    expect(await samples(metrics, 'request_bodies_not_buffered_total')).toEqual([
      `{${DEMO},reason="memory"} 1`,
    ]);
    expect(await samples(metrics, 'concurrency_wait_seconds_sum')).toEqual([`{${DEMO}} 0.25`]);
  });
});

describe('state', () => {
  test('is read at the scrape', async () => {
    const metrics = metricsOf();
    const scope = 'upstream="demo",scope="demo"';
    expect(await samples(metrics, 'retry_budget_tokens')).toEqual([`{${scope}} 7.5`]);
    expect(await samples(metrics, 'breaker_state')).toEqual([
      `{${scope},state="closed"} 0`,
      `{${scope},state="open"} 1`,
      `{${scope},state="half_open"} 0`,
    ]);
    expect(await samples(metrics, 'concurrency_limit')).toEqual([`{${scope}} 20`]);
    expect(await samples(metrics, 'concurrency_in_flight')).toEqual([`{${scope}} 3`]);
    expect(await samples(metrics, 'concurrency_queue_depth')).toEqual([`{${scope}} 2`]);
    expect(await samples(metrics, 'quota_queue_depth')).toEqual([`{${scope}} 6`]);
    expect(await samples(metrics, 'quota_cooldowns_active')).toEqual([`{${scope}} 1`]);
    expect(await samples(metrics, 'quota_remaining')).toEqual([`{${scope},bucket="default"} 40`]);
    expect(await samples(metrics, 'quota_limit')).toEqual([`{${scope},bucket="default"} 100`]);
    expect(await samples(metrics, 'quota_reset_seconds')).toEqual([`{${scope},bucket="default"} 2.5`]);
    expect(await samples(metrics, 'upstream_connections')).toEqual(['{upstream="demo"} 4']);
    expect(await samples(metrics, 'tunnels')).toEqual(['{upstream="demo"} 2']);
    expect(await samples(metrics, 'buffered_body_bytes')).toEqual([' 4096']);
    expect(await samples(metrics, 'build_info')).toEqual(['{version="1.2.3",node="v26.0.0"} 1']);
  });

  test('of a policy that is off is not there', async () => {
    const state = new FakeState();
    state.list = [upstream('demo', { breaker: undefined, budgetTokens: undefined, limit: undefined })];
    const metrics = metricsOf(state);
    for (const name of [
      'breaker_state',
      'retry_budget_tokens',
      'concurrency_limit',
      'concurrency_queue_depth',
    ]) {
      expect(await samples(metrics, name)).toEqual([]);
    }
  });

  test('counts changes by cause', async () => {
    const metrics = metricsOf();
    const opened = {
      type: 'breaker_changed',
      scope: 'demo',
      from: 'closed',
      to: 'open',
      cause: 'failure_rate',
    } as const;
    metrics.stateChanged('demo', opened);
    metrics.stateChanged('demo', opened);
    metrics.stateChanged('demo', { ...opened, cause: 'forced' });
    metrics.stateChanged('demo', { type: 'breaker_stale_result', scope: 'demo' });
    const labels = 'upstream="demo",scope="demo"';
    expect(await samples(metrics, 'breaker_transitions_total')).toEqual([
      `{${labels},from="closed",to="open",cause="failure_rate"} 2`,
      `{${labels},from="closed",to="open",cause="forced"} 1`,
    ]);
    expect(await samples(metrics, 'breaker_stale_results_total')).toEqual([`{${labels}} 1`]);
  });
});

describe('reload', () => {
  test('is counted by result; the time is that of the last success', async () => {
    const metrics = metricsOf();
    metrics.configLoaded('success', 1_767_225_600_000);
    metrics.configLoaded('failure', 1_767_225_700_000);
    metrics.configLoaded('failure', 1_767_225_800_000);
    expect(await samples(metrics, 'config_reloads_total')).toEqual([
      '{result="success"} 1',
      '{result="failure"} 2',
    ]);
    expect(await samples(metrics, 'config_last_reload_success_timestamp_seconds')).toEqual([' 1767225600']);
    expect(await samples(metrics, 'config_last_reload_successful')).toEqual([' 0']);
    metrics.configLoaded('success', 1_767_225_900_000);
    expect(await samples(metrics, 'config_last_reload_successful')).toEqual([' 1']);
    expect(await samples(metrics, 'config_last_reload_success_timestamp_seconds')).toEqual([' 1767225900']);
  });

  test('that removes an upstream removes its gauges at once, and its counters on demand', async () => {
    const state = new FakeState();
    state.list = [upstream('demo'), upstream('old')];
    const metrics = metricsOf(state);
    (await rescuedStory(metrics)).end();
    (await rescuedStory(metrics, { upstream: 'old' })).end();
    new Story(metrics, { upstream: '', route: '' }).end({
      status: 404,
      origin: 'proxy',
      error: 'route_not_found',
    });
    metrics.configLoaded('success', 0);
    expect(await scraped(metrics)).toContain('breakwater_breaker_state{upstream="old"');

    state.list = [upstream('demo')];
    expect(await scraped(metrics)).not.toContain('breakwater_breaker_state{upstream="old"');
    metrics.retain(new Map([['demo', new Set<string>()]]), new Set());
    const text = await scraped(metrics);
    expect(text).not.toContain('upstream="old"');
    expect(text).toContain('breakwater_requests_total{upstream="demo"');
    expect(text).toContain('breakwater_requests_total{upstream="",route=""');
    expect(text).toContain('breakwater_config_reloads_total{result="success"} 1');

    // A call of before that ends only now, and the upstream's return, are counted from 0.
    (await rescuedStory(metrics, { upstream: 'old' })).end();
    expect(await samples(metrics, 'rescued_requests_total')).toContain('{upstream="old",route="default"} 1');
  });
});

test('a histogram cell holds a value on a bound in the bucket of that bound', () => {
  const cell = new HistogramCell({}, '', [1, 2]);
  for (const value of [0, 1, 1.5, 2, 2.1, Number.POSITIVE_INFINITY]) cell.observe(value);
  expect(cell.counts).toEqual([2, 2, 2]);
});

test('a scrape holds every metric with exactly its labels, and the figures of the process', async () => {
  const metrics = metricsOf();
  await everythingHappens(metrics);
  const text = await scraped(metrics);
  const found = specs.map(({ name }) => {
    const sample =
      text.split('\n').find((line) => new RegExp(`^${name}(_bucket)?[{ ]`).test(line)) ?? 'missing=""';
    const labels = [...sample.matchAll(/(\w+)="/g)].map(([, label]) => label);
    return { name, labels: labels.filter((label) => label !== 'le') };
  });
  expect(found).toEqual(specs.map(({ name, labels }) => ({ name, labels })));
  expect(text).toContain('process_cpu_seconds_total');
  expect(text).toContain('nodejs_eventloop_lag_p99_seconds');
});

describe('the number of series', () => {
  const seriesOf = async (metrics: Metrics) =>
    (await scraped(metrics)).split('\n').filter((line) => line.startsWith('breakwater_')).length;

  test('grows with routes that have had a call, and not with further calls', async () => {
    const metrics = metricsOf();
    const before = await seriesOf(metrics);
    (await new Story(metrics).attempt(200)).end();
    // The outcome of the call and the result of its attempt are values that have occurred.
    expect(await seriesOf(metrics)).toBe(before + SERIES_OF.route + 2);
    for (let i = 0; i < 20; i++)
      (await new Story(metrics, { target: `/${i}`, id: `${i}`, client: `10.0.0.${i}` }).attempt(200)).end();
    expect(await seriesOf(metrics)).toBe(before + SERIES_OF.route + 2);
    (await new Story(metrics, { route: 'other' }).attempt(200)).end();
    expect(await seriesOf(metrics)).toBe(before + 2 * (SERIES_OF.route + 2));
  });

  test('grows with upstreams, their scopes and quotas', async () => {
    const state = new FakeState();
    const metrics = metricsOf(state);
    const before = await seriesOf(metrics);
    state.list = [...state.list, upstream('second')];
    const { upstream: ofUpstream, scope, bucket, target } = SERIES_OF;
    expect(await seriesOf(metrics)).toBe(before + ofUpstream + scope + bucket + target);
  });

  test('is explained in docs/metrics.md', () => {
    expect(readFileSync('docs/metrics.md', 'utf8')).toContain(renderSeriesRule().trim());
  });
});

test('thousands of series are written in pieces, and other work runs between them', async () => {
  const metrics = metricsOf();
  const ROUTES = 300;
  for (let i = 0; i < ROUTES; i++) (await new Story(metrics, { route: `route-${i}` }).attempt(200)).end();
  let turns = 0;
  let pieces = 0;
  let text = '';
  for await (const piece of metrics.scrape(undefined).pieces) {
    pieces++;
    text += piece;
    setImmediate(() => turns++);
  }
  expect(pieces).toBeGreaterThan(5);
  expect(turns).toBeGreaterThanOrEqual(pieces - 1);
  const calls = text.split('\n').filter((line) => line.startsWith('breakwater_requests_total{'));
  expect(calls).toHaveLength(ROUTES);
  expect(new Set(calls).size).toBe(ROUTES);
});

test('values without bound and special characters are written as the format says', () => {
  const lines = gaugeLines({ name: 'a', help: 'A \\ and\na line.' }, [
    [labelText({ x: 'say "\\n"\n' }), Number.POSITIVE_INFINITY],
    ['', Number.NEGATIVE_INFINITY],
    ['', Number.NaN],
  ]);
  expect([...lines].join('')).toBe(
    '# HELP a A \\\\ and\\na line.\n# TYPE a gauge\n' + 'a{x="say \\"\\\\n\\"\\n"} +Inf\na -Inf\na NaN\n',
  );
});
