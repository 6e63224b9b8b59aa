import { resolve } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { dashboard } from '../../monitoring/dashboard.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { NO_WAIT, startBreakwater } from '../support/breakwater.ts';
import { temporaryFolder } from '../support/command.ts';
import { type OriginExchange, ok, startOrigin, type Step, status } from '../support/origin.ts';
import { hasPrometheus, Prometheus, type Series } from '../support/prometheus.ts';

/* Every query of the dashboard and of the rules, in a real Prometheus that scrapes a proxy with traffic. */

if (!hasPrometheus) {
  console.warn('prometheus is not on PATH: the queries of the dashboard and of the rules are NOT run');
}

const RULES = 'monitoring/prometheus-rules.yaml';

const JSON_TYPE = { 'content-type': 'application/json' };
const STREAM = 'data: {"n":1}\n\ndata: {"n":2}\n\nevent: end\ndata: {}\n\n';

/** One API for each thing that the dashboard shows, by the first part of the path. */
function apis(): Readonly<Record<string, Step>> {
  let flaky = 0;
  return {
    flaky: (exchange) => status(++flaky % 2 === 1 ? 503 : 200)(exchange),
    down: status(500),
    // Longer than the hedge waits.
    hedged: ({ response }) => void setTimeout(() => response.end('ok'), 50),
    throttled: status(429, { 'retry-after': '1' }),
    cost: ok('{"usage":{"total_tokens":7}}', JSON_TYPE),
    cached: ok('rates', { 'cache-control': 'max-age=600' }),
    stream: ok(STREAM, { 'content-type': 'text/event-stream' }),
    jobs: ok('{"status":"settled"}', JSON_TYPE),
    hooks: status(204),
  };
}

const config = (url: string) => `
${NO_WAIT}
durable:
  store: ${temporaryFolder()}/store.db
  callbacks:
    allow: ["${url}/hooks/**"]
    secrets: [whsec_${Buffer.alloc(32, 1).toString('base64')}]
    allow_private: true
schedules: { rates: { cron: "* * * * *", request: { path: /jobs/rates } } }
upstreams:
  plain: { url: "${url}/plain", allow_private: true, concurrency: 1, dedupe: 1h, retry: { idempotency_key: pass } }
  flaky: { url: "${url}/flaky", allow_private: true }
  down:
    url: ${url}/down
    allow_private: true
    breaker: { min_requests: 2 }
    durable: on
    routes: [{ match: { path: /rates }, fallback: { reply: { status: 200, body: "[]" } } }]
  hedged: { url: "${url}/hedged", allow_private: true, hedge: { after: 1ms, max_extra: 100% } }
  throttled: { url: "${url}/throttled", allow_private: true, retry: off, quota: { wait: off }, durable: on }
  cost:
    url: ${url}/cost
    allow_private: true
    quota:
      windows: [{ limit: 1000/1000s, counts: cost }, { limit: 10/s, counts: calls }]
      cost: { body: /max_tokens, reply: /usage/total_tokens }
  cached: { url: "${url}/cached", allow_private: true, cache: on }
  stream: { url: "${url}/stream", allow_private: true, stream: { done: [{ event: end }] } }
  jobs:
    url: ${url}/jobs
    allow_private: true
    durable:
      until: { success: [{ json: /status, in: [settled] }], delay: { min: 1s, max: 1s }, deadline: 1m }
`;

/** The wall clock, ten seconds before a slot of the schedule: the proxy has started by then. */
function nearSlot() {
  const shift = 50_000 - (systemClock.wallTime() % 60_000);
  return { ...systemClock, wallTime: () => systemClock.wallTime() + shift };
}

async function startScraped() {
  const steps = apis();
  const origin = await startOrigin(async (exchange: OriginExchange) => {
    const [, api = ''] = (exchange.request.url ?? '').split('/');
    await (steps[api] ?? ok())(exchange);
  });
  const proxy = await startBreakwater(config(origin.url), { clock: nearSlot() });
  const target = new URL(proxy.adminUrl).host;
  const prometheus = await Prometheus.start(target, [{ namespace: 'shop' }, {}], resolve(RULES));
  let round = 0;
  const send = async (path: string, init: RequestInit = {}) => {
    const reply = await fetch(proxy.url + path, init);
    await reply.arrayBuffer();
  };
  const later = { method: 'PUT', body: 'an order', headers: { prefer: 'respond-async' } };
  /** One round of traffic, which does everything once. */
  const traffic = async () => {
    const key = { method: 'POST', body: 'a=1', headers: { 'idempotency-key': `k-${++round}` } };
    const tokens = { method: 'POST', body: '{"max_tokens":9}', headers: JSON_TYPE };
    const reported = { ...later.headers, 'breakwater-callback': `${origin.url}/hooks/done` };
    await Promise.all([
      ...[1, 2, 3].map(() => send('/plain/')),
      ...[1, 2, 3].map(() => send('/cost/', tokens)),
      send('/plain/pay', key).then(() => send('/plain/pay', key)),
      ...['/flaky/', '/down/', '/down/rates', '/hedged/', '/throttled/', '/cached/', '/stream/'].map((path) =>
        send(path),
      ),
      send('/jobs/order', { ...later, headers: reported }),
      send('/down/order', later),
      send('/throttled/order', later),
    ]);
  };
  return { prometheus, target, send, traffic };
}

const VARIABLES = dashboard().templating.list.flatMap((one) => ('allValue' in one ? [one] : []));
const ALL = Object.fromEntries(VARIABLES.map(({ name, allValue }) => [name, allValue]));

/** A query as Grafana sends it, with its variables replaced. */
const filledIn = (query: string, chosen: Readonly<Record<string, string>>) =>
  query.replace(/\$(\w+)/g, (_all, name: string) =>
    name === '__rate_interval' ? '1m' : (chosen[name] ?? ''),
  );

const QUERIES = dashboard().panels.flatMap((panel) =>
  'targets' in panel ? panel.targets.map(({ expr }) => expr) : [],
);

/** Metrics that need a process that dies, a stuck upstream, or a webhook that fails. */
const RARE = /durable_reclaimed|stuck_attempts|operator_events/;

const isData = (series: readonly Series[]) =>
  series.some(({ values }) => values.some(([, value]) => Number.isFinite(Number(value))));

describe.skipIf(!hasPrometheus)('a real Prometheus', () => {
  test('answers every query of the dashboard and every rule, with data', { timeout: 180_000 }, async () => {
    const { prometheus, target, send, traffic } = await startScraped();
    const empty = async (queries: readonly string[], chosen: Readonly<Record<string, string>>) => {
      const found = await Promise.all(queries.map((query) => prometheus.range(filledIn(query, chosen))));
      return queries.filter((_query, i) => !isData(found[i] ?? []));
    };
    const rules = (await prometheus.rules()).map(({ name }) => name);
    const recorded = rules.filter((name) => name.includes(':'));

    let missing: readonly string[] = [...recorded, ...QUERIES.filter((query) => !RARE.test(query))];
    await vi.waitFor(
      async () => {
        await traffic();
        missing = await empty(missing, ALL);
        expect(missing).toEqual([]);
      },
      { timeout: 90_000, interval: 500 },
    );
    // Rare ones have no data, and no error. A proxy without a namespace shows as much.
    const rare = QUERIES.filter((query) => RARE.test(query));
    // A schedule has a slot each ten seconds, and a rate needs two of them.
    await vi.waitFor(
      async () => {
        await traffic();
        expect(await empty(QUERIES, { ...ALL, namespace: '' })).toEqual(rare);
      },
      { timeout: 60_000, interval: 500 },
    );
    const up = { health: 'up', lastError: '' };
    expect(await prometheus.targets()).toMatchObject([up, up]);
    expect((await prometheus.rules()).filter(({ health }) => health !== 'ok')).toEqual([]);

    const values = VARIABLES.map(({ query: { query } }) => {
      const [, metric = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(query) ?? [];
      return prometheus.labelValues(label, filledIn(metric, ALL));
    });
    const [namespaces, instances, upstreams] = await Promise.all(values);
    expect([namespaces, instances]).toEqual([['shop'], [target]]);
    expect(upstreams).toEqual(expect.arrayContaining(['cost', 'down', 'jobs', 'plain', 'stream']));

    // Each query follows the variables, except that the burn rate is that of all instances.
    const elsewhere = async (chosen: Record<string, string>) => {
      const silent = new Set(await empty(QUERIES, { ...ALL, ...chosen }));
      return QUERIES.filter((query) => !silent.has(query));
    };
    expect(await elsewhere({ namespace: 'other' })).toEqual([]);
    const ofAll = (await elsewhere({ instance: 'other' })).map((query) => query.split(/[:{]/)[1]);
    expect(new Set(ofAll)).toEqual(new Set(['breakwater_failures']));

    // `down` fails each call, which is far more than its objective allows.
    await vi.waitFor(
      async () => {
        await Promise.all([1, 2, 3, 4, 5].map(() => send('/down/')));
        expect(await prometheus.alerts()).toContainEqual(
          expect.objectContaining({
            state: 'firing',
            labels: expect.objectContaining({
              alertname: 'BreakwaterErrorBudgetBurn',
              upstream: 'down',
              namespace: 'shop',
            }),
            annotations: expect.objectContaining({
              summary: expect.stringMatching(/of the calls to down fail in shop$/),
            }),
          }),
        );
      },
      { timeout: 60_000, interval: 500 },
    );
  });
});
