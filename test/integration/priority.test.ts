import { expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, type Origin, startOrigin } from '../support/origin.ts';
import { untilState } from '../support/tidy.ts';

/* Priorities and turns in the queues that clients share. */

/** 20/s without a burst: one call every 50 ms. */
const SLOT_MS = 50;

const CLIENTS = `
clients:
  tokens:
    - { name: web, token: web-token-0123456789, priority: high }
    - { name: app, token: app-token-0123456789 }
    - { name: batch, token: batch-token-0123456789, priority: low }
`;

const config = (origin: Origin, more = '', clients = CLIENTS) => `${clients}
log: { requests: all }
upstreams:
  api:
    url: ${origin.url}
    allow_private: true
    quota: { windows: 20/s, wait: off }
${more}`;

/** Sends a call whose reply is not awaited. It fails if the test ends before. */
function call(proxy: Breakwater, path: string, client: string, headers: Record<string, string> = {}): void {
  const token = client === '' ? {} : { 'breakwater-token': `${client}-token-0123456789` };
  fetch(`${proxy.url}/api${path}`, { headers: { ...token, ...headers } }).then(
    (reply) => reply.arrayBuffer().catch(() => undefined),
    () => undefined,
  );
}

const waiting = (proxy: Breakwater, count: number) =>
  untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.quota?.waiting === count);

/** Lets `slots` calls leave, and returns the paths of all that have left. */
async function leave(clock: FakeClock, origin: Origin, proxy: Breakwater, slots: number): Promise<string[]> {
  for (let slot = 0; slot < slots; slot++) {
    const before = proxy.ended.length;
    await clock.advance(SLOT_MS);
    await proxy.untilEnded(before + 1);
  }
  return origin.requests.map(({ url }) => url);
}

test('behind 400 low calls on a quota of 20/s, a high call waits one slot, and low has a tenth', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(config(origin), { clock });
  for (let i = 0; i < 401; i++) call(proxy, '/low', 'batch');
  await waiting(proxy, 400);
  call(proxy, '/high', 'web');
  await waiting(proxy, 401);
  expect(await leave(clock, origin, proxy, 1)).toEqual(['/low', '/high']);
  for (let i = 0; i < 40; i++) call(proxy, '/high', 'web');
  await waiting(proxy, 440);
  const left = await leave(clock, origin, proxy, 30);
  expect(left.slice(-30).filter((path) => path === '/low')).toHaveLength(3);
  expect(proxy.ended.at(-1)?.notes).toMatchObject({ priority: expect.stringMatching(/^(high|low)$/) });
  expect(proxy.logs.at(-1)?.fields).toHaveProperty('priority');
});

test('durable requests wait for interactive calls without any setting', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const yaml = durableConfig(origin, { more: '    quota: { windows: 20/s, wait: off }\n' });
  const { proxy, ...client } = await startDurable(yaml, { clock }).then((started) => ({
    proxy: started.proxy,
    accepted: () => started.accepted({}, {}, '/api/durable'),
  }));
  for (let i = 0; i < 40; i++) await client.accepted();
  await untilState(proxy, ({ upstreams }) => (upstreams[0]?.scopes[0]?.quota?.waiting ?? 0) >= 20);
  const before = origin.requests.length;
  const queued = (await untilState(proxy, () => true)).upstreams[0]?.scopes[0]?.quota?.waiting ?? 0;
  call(proxy, '/interactive', '');
  await waiting(proxy, queued + 1);
  await clock.advance(SLOT_MS);
  await origin.untilRequests(before + 1);
  expect(origin.requests[before]?.url).toBe('/interactive');
});

test('a header sets the priority where overrides allow it, up to the priority of the client', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(config(origin, '    overrides: { priority: true }\n'), { clock });
  call(proxy, '/first', 'app');
  await proxy.untilEnded(1);
  call(proxy, '/app', 'app');
  await waiting(proxy, 1);
  call(proxy, '/forged', 'batch', { 'breakwater-priority': 'high' });
  call(proxy, '/lowered', 'web', { 'breakwater-priority': 'low' });
  await waiting(proxy, 3);
  call(proxy, '/web', 'web', { 'breakwater-priority': 'high' });
  await waiting(proxy, 4);
  const left = await leave(clock, origin, proxy, 4);
  expect(left.slice(0, 3)).toEqual(['/first', '/web', '/app']);
  expect(origin.requests.some(({ headers }) => 'breakwater-priority' in headers)).toBe(false);
});

test('without overrides the header is ignored, and a wrong value is refused with them', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(config(origin, '', ''));
  const send = async () => fetch(`${proxy.url}/api/x`, { headers: { 'breakwater-priority': 'urgent' } });
  expect((await send()).status).toBe(200);
  proxy.rewrite(config(origin, '    overrides: { priority: true }\n', ''));
  await proxy.app.reload();
  const refused = await send();
  expect(refused.status).toBe(400);
  expect(await refused.text()).toContain('write high, normal, low');
});

test('tenants of one app take turns within the turns of their client', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const quota = 'quota: { windows: 20/s, wait: off, client: "header:X-Tenant" }';
  const proxy = await startBreakwater(config(origin).replace(/quota: .*/, quota), { clock });
  call(proxy, '/first', 'app');
  await proxy.untilEnded(1);
  let count = 0;
  const queue = async (path: string, client: string, tenant = '') => {
    call(proxy, path, client, tenant === '' ? {} : { 'x-tenant': tenant });
    await waiting(proxy, ++count);
  };
  for (const path of ['/a1', '/a2', '/a3']) await queue(path, 'app', 'a');
  await queue('/b1', 'app', 'b');
  expect((await leave(clock, origin, proxy, 4)).slice(1)).toEqual(['/a1', '/b1', '/a2', '/a3']);
});

test('a client has one turn, however many addresses it has, and calls in a queue survive its new name', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const proxy = await startBreakwater(config(origin), { clock });
  call(proxy, '/first', 'app');
  await proxy.untilEnded(1);
  for (let i = 0; i < 3; i++) call(proxy, '/app', 'app');
  await waiting(proxy, 3);
  call(proxy, '/web', 'web');
  await waiting(proxy, 4);
  proxy.rewrite(config(origin, '', CLIENTS.replace('name: app', 'name: shop')));
  await proxy.app.reload();
  call(proxy, '/shop', 'app');
  await waiting(proxy, 5);
  const left = await leave(clock, origin, proxy, 5);
  expect(left.slice(1)).toEqual(['/web', '/app', '/shop', '/app', '/app']);
});

test('in the queue of the concurrency limit a high call has the next permit', async () => {
  const held: (() => void)[] = [];
  const origin = await startOrigin(({ response }) => void held.push(() => response.end('ok')));
  const limit = '    concurrency: { mode: fixed, max: 1, wait: 60s }\n    timeouts: { total: 600s }\n';
  const proxy = await startBreakwater(config(origin, limit).replace(/ {4}quota: .*\n/, ''));
  const queued = (count: number) =>
    untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === count);
  call(proxy, '/running', 'batch');
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.in_flight === 1);
  for (let i = 1; i <= 5; i++) {
    call(proxy, '/low', 'batch');
    await queued(i);
  }
  call(proxy, '/high', 'web');
  await queued(6);
  await origin.untilRequests(1);
  held.pop()?.();
  await origin.untilRequests(2);
  expect(origin.requests.map(({ url }) => url)).toEqual(['/running', '/high']);
});

test('a client with a share of the quota leaves the rest to others, by durable requests too', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const clients = CLIENTS.replace('priority: low }', 'priority: low, quota: 20% }');
  const yaml = durableConfig(origin, { top: clients, more: '    quota: { windows: 10/1m, wait: off }\n' });
  const { proxy, ...client } = await startDurable(yaml, { clock }).then((started) => ({
    proxy: started.proxy,
    accepted: () => started.accepted({ 'breakwater-token': 'batch-token-0123456789' }, {}, '/api/durable'),
  }));
  await client.accepted();
  await origin.untilRequests(1);
  for (let i = 0; i < 3; i++) call(proxy, '/batch', 'batch');
  await waiting(proxy, 2);
  for (let i = 0; i < 3; i++) call(proxy, '/web', 'web');
  await origin.untilRequests(5);
  expect(origin.requests.map(({ url }) => url).toSorted()).toEqual([
    '/batch',
    '/durable',
    '/web',
    '/web',
    '/web',
  ]);
  await clock.advance(30_000);
  await origin.untilRequests(6);
  expect(origin.requests.at(-1)?.url).toBe('/batch');
});
