import { expect, test } from 'vitest';
import { apiConfig, type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, startOrigin, status } from '../support/origin.ts';

/* A policy in shadow mode reports what it would refuse, and changes no call. */

async function get({ url }: Breakwater, path = '/x', init: RequestInit = {}) {
  const reply = await fetch(`${url}/api${path}`, init);
  await reply.text();
  return reply.status;
}

const metricsOf = async ({ adminUrl }: Breakwater) => (await fetch(`${adminUrl}/metrics`)).text();

async function scopeOf({ adminUrl }: Breakwater) {
  const state = (await (await fetch(`${adminUrl}/api/state`)).json()) as {
    upstreams: { scopes: Record<string, { shadow?: true } | undefined>[] }[];
  };
  return state.upstreams[0]?.scopes[0];
}

const SHADOWED = 'breakwater_shadow_rejected_total{upstream="api",route="default"';

test('quota: calls beyond a window are sent at once, counted and logged', async () => {
  const origin = await startOrigin(ok());
  const clock = new FakeClock();
  const yaml = apiConfig(origin, '    quota: { mode: shadow, windows: [2/m] }\n');
  const proxy = await startBreakwater(yaml, { clock });
  for (let call = 0; call < 5; call++) expect(await get(proxy)).toBe(200);
  expect(origin.requests.length).toBe(5);
  expect(await metricsOf(proxy)).toContain(`${SHADOWED},reason="quota"} 3`);
  expect(await metricsOf(proxy)).not.toContain('breakwater_rejected_total{upstream="api"');
  const lines = proxy.logs.filter(({ fields }) => fields['shadow_rejected'] === 'quota');
  // As of refusals, one line a second is enough.
  expect(lines.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^GET api\/x 200 in .* \(shadow: quota\): 200$/),
  ]);
  expect((await scopeOf(proxy))?.['quota']).toMatchObject({ shadow: true, waiting: 0 });
  const { groups } = (await (await fetch(`${proxy.adminUrl}/api/calls`)).json()) as {
    groups: { key: string; count: number }[];
  };
  expect(groups).toMatchObject([{ key: 'api/default ok 200 shadow quota', count: 3 }]);
});

test('quota: each replica counts alone in shadow mode, because no call waits for a shared unit', async () => {
  const origin = await startOrigin(ok());
  const shared = 'shared: { store: redis://127.0.0.1:1, replicas: 2 }\n';
  const yaml = apiConfig(origin, '    quota: { mode: shadow, windows: [2/m] }\n');
  const proxy = await startBreakwater(shared + yaml, { clock: new FakeClock() });
  for (let call = 0; call < 5; call++) expect(await get(proxy)).toBe(200);
  expect(await metricsOf(proxy)).toContain(`${SHADOWED},reason="quota"} 3`);
});

test('quota: calls beyond a window run up no debt', async () => {
  const origin = await startOrigin(ok());
  const clock = new FakeClock();
  const proxy = await startBreakwater(apiConfig(origin, '    quota: { mode: shadow, windows: [2/m] }\n'), {
    clock,
  });
  for (let call = 0; call < 20; call++) await get(proxy);
  await clock.advance(60_000);
  await get(proxy);
  await get(proxy);
  expect(await metricsOf(proxy)).toContain(`${SHADOWED},reason="quota"} 18`);
});

test('quota: a cooldown that the upstream asks for holds no call, and the log says so', async () => {
  const origin = await startOrigin(status(429, { 'retry-after': '600' }));
  const clock = new FakeClock();
  const yaml = apiConfig(origin, '    retry: off\n    quota: { mode: shadow }\n');
  const proxy = await startBreakwater(yaml, { clock });
  // One refusal is no limit yet.
  for (let call = 0; call < 20; call++) {
    expect(await get(proxy)).toBe(429);
    await clock.advance(10);
  }
  expect(origin.requests.length).toBe(20);
  expect(await metricsOf(proxy)).toMatch(
    /shadow_rejected_total\{upstream="api",route="default",reason="quota"\} [1-9]/,
  );
  expect(proxy.logs.map(({ message }) => message).join('\n')).toContain('would wait (shadow) for');
});

test('quota: a hedge may leave, although the quota has no room', async () => {
  let release = () => {};
  const origin = await startOrigin(() => new Promise<void>((resolve) => (release = resolve)), ok('second'));
  const clock = new FakeClock();
  const yaml = apiConfig(
    origin,
    '    quota: { mode: shadow, windows: [1/m] }\n    hedge: { after: 100ms, max_extra: 100% }\n',
  );
  const proxy = await startBreakwater(yaml, { clock });
  const reply = fetch(`${proxy.url}/api/x`);
  await origin.untilRequests(1);
  await clock.advance(200);
  expect(await (await reply).text()).toBe('second');
  release();
});

test('concurrency: attempts beyond max are sent at once, counted and logged', async () => {
  const releases: (() => void)[] = [];
  const origin = await startOrigin(async ({ response }) => {
    await new Promise<void>((resolve) => releases.push(resolve));
    response.end('done');
  });
  const proxy = await startBreakwater(apiConfig(origin, '    concurrency: { mode: shadow, max: 1 }\n'));
  const calls = [get(proxy), get(proxy), get(proxy)];
  await origin.untilRequests(3);
  expect((await scopeOf(proxy))?.['concurrency']).toMatchObject({ shadow: true, limit: 1, in_flight: 3 });
  for (const release of releases) release();
  expect(await Promise.all(calls)).toEqual([200, 200, 200]);
  expect(await metricsOf(proxy)).toContain(`${SHADOWED},reason="concurrency_limit"} 2`);
  await proxy.untilEnded(3);
  expect((await scopeOf(proxy))?.['concurrency']).toMatchObject({ in_flight: 0, queued: 0 });
  expect(proxy.logs.some(({ fields }) => fields['shadow_rejected'] === 'concurrency_limit')).toBe(true);
});

test('breaker: the state says that it is in shadow mode', async () => {
  const proxy = await startBreakwater(apiConfig(await startOrigin(ok()), '    breaker: { mode: shadow }\n'));
  await get(proxy);
  expect((await scopeOf(proxy))?.['breaker']).toMatchObject({ shadow: true, state: 'closed' });
});

test('allow: calls that are not on the list are sent unchanged, counted and logged', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(
    apiConfig(origin, '    allow: { mode: shadow, calls: ["GET /v1/**"] }\n'),
  );
  expect(await get(proxy, '/v1/x')).toBe(200);
  expect(await get(proxy, '/v2/x', { headers: { 'x-http-method-override': 'DELETE' } })).toBe(200);
  expect(origin.requests.at(-1)?.headers).toMatchObject({ 'x-http-method-override': 'DELETE' });
  expect(await metricsOf(proxy)).toContain(`${SHADOWED},reason="egress_denied"} 1`);
  expect(proxy.logs.at(-1)?.fields).toMatchObject({ shadow_rejected: 'egress_denied', path: '/v2/x' });
});

test('a call that nothing would refuse has no log line', async () => {
  const more = '    quota: { mode: shadow, windows: [9/m] }\n    concurrency: { mode: shadow, max: 9 }\n';
  const proxy = await startBreakwater(apiConfig(await startOrigin(ok()), more));
  await get(proxy);
  await proxy.untilEnded(1);
  expect(proxy.logs.some(({ message }) => message.startsWith('GET'))).toBe(false);
});
