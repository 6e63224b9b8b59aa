import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import {
  apiConfig,
  type Breakwater,
  type BreakwaterOptions,
  startBreakwater,
} from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, startOrigin } from '../support/origin.ts';

/* Faults take the place of the upstream, and all policies see them as they would see its own. */

const ON = { FAULTS: 'on' };

async function start(faults: string, options: BreakwaterOptions = {}, more = '') {
  const origin = await startOrigin(ok('from the upstream'));
  const yaml = apiConfig(origin, `    faults: ${faults}\n${more}`);
  return { origin, proxy: await startBreakwater(yaml, { env: ON, ...options }) };
}

async function get({ url }: Breakwater, headers: Record<string, string> = {}, method = 'GET') {
  const reply = await fetch(`${url}/api/x`, { headers, method });
  return { status: reply.status, body: await reply.text() };
}

const metricsOf = async ({ adminUrl }: Breakwater) => (await fetch(`${adminUrl}/metrics`)).text();

test('a status replaces the reply, and is retried as one of the upstream is', async () => {
  const { origin, proxy } = await start('{ status: 503 }', {}, '    retry: { attempts: 3 }\n');
  expect((await get(proxy)).status).toBe(503);
  expect(origin.requests.length).toBe(0);
  const [record] = await proxy.untilEnded(1);
  expect(record?.attempts).toBe(3);
  expect(proxy.logs.at(-1)?.fields).toMatchObject({
    faults: ['status', 'status', 'status'],
    outcome: 'upstream_error',
  });
  expect(await metricsOf(proxy)).toContain(
    'breakwater_faults_total{upstream="api",route="default",fault="status"} 3',
  );
});

test('a share of the attempts gets the fault, and a retry rescues the call', async () => {
  const draws = [0.05, 0.5];
  const { origin, proxy } = await start('{ percent: 10%, status: 502 }', {
    random: () => draws.shift() ?? 0.99,
  });
  expect(await get(proxy)).toEqual({ status: 200, body: 'from the upstream' });
  expect(origin.requests.length).toBe(1);
  expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'rescued', attempts: 2 });
});

test('a reset is of unknown outcome, so a POST is not sent again', async () => {
  const { origin, proxy } = await start('{ reset: true }');
  expect((await get(proxy, {}, 'POST')).status).toBe(502);
  expect(origin.requests.length).toBe(0);
  const [record] = await proxy.untilEnded(1);
  expect(record).toMatchObject({ attempts: 1, error: 'connection_terminated' });
  expect(record?.notes.gave_up).toBe('not_idempotent');
});

test('a stall ends with the time limit of the attempt', async () => {
  const clock = new FakeClock();
  const more = '    retry: off\n    timeouts: { attempt: 2s }\n';
  const { origin, proxy } = await start('{ stall: true }', { clock }, more);
  const reply = get(proxy);
  await proxy.until(() => clock.deadlines.includes(clock.now() + 2_000));
  await clock.advance(2_000);
  expect((await reply).status).toBe(504);
  expect(origin.requests.length).toBe(0);
  expect((await proxy.untilEnded(1))[0]?.error).toBe('attempt_timeout');
});

test('a delay comes before the attempt', async () => {
  const clock = new FakeClock();
  const { origin, proxy } = await start('{ delay: 5s }', { clock });
  const reply = get(proxy);
  await proxy.until(() => clock.deadlines.includes(clock.now() + 5_000));
  expect(origin.requests.length).toBe(0);
  await clock.advance(5_000);
  expect(await reply).toEqual({ status: 200, body: 'from the upstream' });
});

test('nothing is sent for a client that leaves during the delay', async () => {
  const clock = new FakeClock();
  const { origin, proxy } = await start('{ delay: 5s }', { clock });
  const gone = new AbortController();
  const left = fetch(`${proxy.url}/api/x`, { signal: gone.signal }).catch(() => 'left');
  await proxy.until(() => clock.deadlines.includes(clock.now() + 5_000));
  gone.abort();
  expect(await left).toBe('left');
  await proxy.untilEnded(1);
  await clock.advance(5_000);
  // The next call shows that the pool sends, so an earlier request would have come first.
  const reply = get(proxy);
  await proxy.until(() => clock.deadlines.includes(clock.now() + 5_000));
  await clock.advance(5_000);
  expect((await reply).status).toBe(200);
  expect(origin.requests.length).toBe(1);
});

test.each([
  ['503', 503],
  ['delay=10ms, 500', 500],
])(
  'a client asks for breakwater-fault: %s, and the upstream never gets the header',
  async (asked, status) => {
    const { origin, proxy } = await start('{ header: true }', {}, '    retry: off\n');
    expect((await get(proxy)).status).toBe(200);
    expect((await get(proxy, { 'breakwater-fault': asked })).status).toBe(status);
    expect(origin.requests.length).toBe(1);
    expect(origin.requests[0]?.headers).not.toHaveProperty('breakwater-fault');
    await proxy.untilEnded(2);
    expect(proxy.logs.at(-1)?.fields).toMatchObject({ overrides: [`fault=${status}`], faults: ['status'] });
  },
);

test('a wrong header is refused, with what may be written', async () => {
  const { proxy } = await start('{ header: true }');
  const reply = await get(proxy, { 'breakwater-fault': 'explode' });
  expect(reply.status).toBe(400);
  expect(reply.body).toContain('write one of 503 (a status), reset, stall and delay=2s');
});

test('without FAULTS=on nothing is injected, also not by header, and a warning says so', async () => {
  const { proxy } = await start('{ status: 503, header: true }', { env: {} });
  expect((await get(proxy)).status).toBe(200);
  expect((await get(proxy, { 'breakwater-fault': '503' })).status).toBe(200);
  const loaded = loadConfig(
    'c.yaml',
    { FAULTS: 'true' },
    () => 'upstreams: { a: { url: https://a.example, faults: { reset: true } } }',
  );
  expect(loaded.ok && loaded.warnings.map(formatProblem)).toEqual([
    'c.yaml:1:51  upstreams.a.faults: is ignored, because FAULTS=on is not in the environment; remove it in production',
  ]);
});

test('while faults are injected, a warning, /api/state and the page say so', async () => {
  const { proxy } = await start('{ status: 503 }');
  const state = (await (await fetch(`${proxy.adminUrl}/api/state`)).json()) as {
    upstreams: { faults?: true }[];
  };
  expect(state.upstreams[0]?.faults).toBe(true);
  const loaded = loadConfig(
    'c.yaml',
    ON,
    () => 'upstreams: { a: { url: https://a.example, faults: { reset: true } } }',
  );
  expect(loaded.ok && loaded.warnings.map(({ message }) => message)).toEqual([
    'faults are injected, because FAULTS=on is in the environment',
  ]);
});

test('a route can turn the faults of its upstream off; two faults at once are an error', () => {
  const load = (faults: string, route = '') =>
    loadConfig('c.yaml', ON, () => `upstreams: { a: { url: https://a.example, faults: ${faults}${route} } }`);
  const loaded = load('{ reset: true }', ', routes: [{ match: { path: /a }, faults: off }]');
  expect(loaded.ok && loaded.config.upstreams[0]?.routes.map(({ settings }) => settings.faults)).toEqual([
    undefined,
    { fault: { delayMs: 0, end: 'reset' }, share: 1, byHeader: false },
  ]);
  const twice = load('{ reset: true, stall: true }');
  expect(twice.ok ? [] : twice.problems.map(formatProblem)).toEqual([
    'c.yaml:1:51  upstreams.a.faults: has several of status, reset and stall; write one of them',
  ]);
});
