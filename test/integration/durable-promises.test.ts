import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { breakwater, temporaryFolder } from '../support/command.ts';
import { durableConfig, type Monitor, startDurable } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { early, hang, type OriginExchange, ok, reset, startOrigin, status } from '../support/origin.ts';

/* The features for which people put a job queue in front of an unreliable API, one test each. */

const key = (name: string) => ({ 'idempotency-key': name });
const POST = { method: 'POST' };

test('promise: submit → id → status → result', async () => {
  const origin = await startOrigin(ok('the result'));
  const client = await startDurable(durableConfig(origin));
  const location = await client.accepted();
  expect(await client.done(location)).toMatchObject({ status: 'succeeded', done: true });
  expect(await (await client.call('GET', `${location}/response`)).text()).toBe('the result');
});

test('promise: exponential backoff, per-route policy, immediate first attempt, next time shown', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(status(502));
  const yaml = durableConfig(origin).replace(
    /backoff: \{[^}]*\}/,
    'attempts: 4, backoff: { kind: exponential, base: 1m, factor: 3, max: 5m, jitter: none }',
  );
  const client = await startDurable(yaml, { clock });
  const submittedAt = clock.wallTime();
  const times: number[] = [];
  const location = await client.accepted();
  for (const [n, wait] of [60_000, 180_000, 300_000].entries()) {
    const monitor = await client.until(
      location,
      ({ attempts, status }) => attempts.made === n + 1 && status === 'waiting',
    );
    expect(monitor.next).toEqual({ at: new Date(clock.wallTime() + wait).toISOString(), reason: 'backoff' });
    times.push(clock.wallTime() - submittedAt);
    expect(monitor.plan[0]).toBe(monitor.next?.at);
    expect(monitor.plan).toHaveLength(3 - n);
    // The runner sleeps for at most a minute.
    await clock.untilWaiting('runner.ts', Math.min(wait, 60_000));
    await clock.advance(wait - 1);
    if (wait > 60_000) await clock.untilWaiting('runner.ts', 1);
    expect(origin.requests).toHaveLength(n + 1);
    await clock.advance(1);
  }
  // The first at once.
  expect(times).toEqual([0, 60_000, 240_000]);
  const end = await client.until(location, ({ done }) => done);
  expect(end).toMatchObject({
    status: 'failed',
    error: { code: 'exhausted' },
    attempts: { made: 4, max: 4 },
  });
});

test('promise: limited attempts: exactly as many as configured, unless the deadline comes first', async () => {
  const origin = await startOrigin(status(503));
  const client = await startDurable(durableConfig(origin, { durable: 'attempts: 3' }));
  expect(await client.done(await client.accepted())).toMatchObject({
    status: 'failed',
    error: { code: 'exhausted' },
  });
  expect(origin.requests).toHaveLength(3);

  const clock = new FakeClock();
  const late = await startDurable(
    durableConfig(origin).replace(
      'base: 1ms, overloaded_base: 1ms',
      'base: 2h, overloaded_base: 2h, max: 2h',
    ),
    { clock },
  );
  const location = await late.accepted({ 'breakwater-deadline': '1h' });
  expect(await late.until(location, ({ done }) => done)).toMatchObject({
    status: 'failed',
    error: { code: 'deadline' },
  });
});

test('promise: filter by error class: permanent errors are not retried', async () => {
  const origin = await startOrigin(status(400), status(404), reset(), status(500), status(503), ok());
  const client = await startDurable(durableConfig(origin));
  const end = async (headers = {}) => client.done(await client.accepted(headers, POST));
  expect(await end(key('a'))).toMatchObject({
    status: 'failed',
    error: { code: 'not_retryable' },
    response: { status: 400 },
  });
  expect(await end(key('b'))).toMatchObject({ status: 'failed', response: { status: 404 } });
  // A POST without a key that was cut off: its outcome is unknown, so it is not repeated.
  expect(await end()).toMatchObject({
    status: 'failed',
    error: { code: 'unknown_outcome' },
    attempts: { made: 1 },
  });
  expect(await end(key('c'))).toMatchObject({ status: 'failed', response: { status: 500 } });
  expect(await end(key('d'))).toMatchObject({ status: 'succeeded', attempts: { made: 2 } });
});

test('a request with unknown outcome is sent again if the route allows it', async () => {
  const origin = await startOrigin(reset(), ok());
  const client = await startDurable(durableConfig(origin, { durable: 'on_unknown_outcome: retry' }));
  expect(await client.done(await client.accepted({}, POST))).toMatchObject({
    status: 'succeeded',
    attempts: { made: 2 },
  });
});

test('promise: every attempt is recorded with status, error, wait, reason and next time', async () => {
  const origin = await startOrigin(status(503, { 'retry-after': '0' }, 'busy'), reset(), ok());
  const client = await startDurable(durableConfig(origin));
  const location = await client.accepted();
  await client.done(location);
  const { attempts } = (await (await client.call('GET', `${location}/attempts`)).json()) as {
    attempts: object[];
  };
  expect(attempts).toMatchObject([
    { n: 1, status: 503, wait_ms: expect.any(Number), reason: expect.any(String), reply: 'busy' },
    { n: 2, error: 'connection_terminated', wait_ms: 1, reason: 'backoff' },
    { n: 3, status: 200 },
  ]);
});

test('promise: states can be queried and filtered (min_attempts=2)', async () => {
  const origin = await startOrigin(status(503), ok(), ok());
  const client = await startDurable(durableConfig(origin));
  const hard = await client.accepted();
  await client.done(hard);
  await client.done(await client.accepted());
  const found = (await (await client.admin('GET', '/requests?min_attempts=2&status=succeeded')).json()) as {
    requests: Monitor[];
  };
  expect(found.requests.map(({ id }) => hard.endsWith(id))).toEqual([true]);
});

test('promise: a final failure is retained and can be replayed under the same id and key', async () => {
  const origin = await startOrigin(status(422, {}, 'no such customer'), ok('paid'));
  const client = await startDurable(durableConfig(origin));
  const location = await client.accepted(key('charge-1'), POST);
  expect(await client.done(location)).toMatchObject({ status: 'failed' });
  expect(await (await client.call('GET', `${location}/response`)).text()).toBe('no such customer');
  await client.call('POST', `${location}/retry`);
  expect(await client.done(location)).toMatchObject({ status: 'succeeded' });
  expect(origin.requests.map(({ headers }) => headers['idempotency-key'])).toEqual(['charge-1', 'charge-1']);
});

test('promise: stalled work is recovered without a sweeper: a request that ran when the process died runs again', async () => {
  const store = join(temporaryFolder(), 'store.db');
  const origin = await startOrigin(hang(), ok('recovered'));
  const first = await startDurable(durableConfig(origin, { store }));
  const location = await first.accepted();
  await origin.untilRequests(1);
  await first.proxy.app.stop(0);
  const second = await startDurable(durableConfig(origin, { store }));
  expect(await second.done(location)).toMatchObject({ status: 'succeeded' });
  const { attempts } = (await (await second.call('GET', `${location}/attempts`)).json()) as {
    attempts: object[];
  };
  expect(attempts).toMatchObject([
    { n: 1, error: 'connection_terminated', reclaimed: true },
    { n: 2, status: 200, reclaimed: false },
  ]);
});

test('a request that must not be repeated ends if its process died during it', async () => {
  const store = join(temporaryFolder(), 'store.db');
  const origin = await startOrigin(hang(), ok());
  const first = await startDurable(durableConfig(origin, { store }));
  const location = await first.accepted({}, POST);
  await origin.untilRequests(1);
  await first.proxy.app.stop(0);
  const second = await startDurable(durableConfig(origin, { store }));
  expect(await second.done(location)).toMatchObject({ status: 'failed', error: { code: 'unknown_outcome' } });
  expect(origin.requests).toHaveLength(1);
  await second.call('POST', `${location}/retry`);
  expect(await second.done(location)).toMatchObject({ status: 'succeeded' });
});

test('promise: the key of one caller blocks no other caller and no other route', async () => {
  const origin = await startOrigin(hang());
  const client = await startDurable(
    durableConfig(origin, { more: '    routes: [{ name: other, match: { path: /other } }]' }),
  );
  const key = { 'breakwater-key': 'customer-42' };
  const as = (who: string) => ({ authorization: `Bearer ${who}`, ...key });
  await client.accepted(as('a'));
  await origin.untilRequests(1);
  const behind = await client.accepted(as('a'));
  await client.accepted(as('b'));
  await client.accepted(as('a'), {}, '/api/other');
  await origin.untilRequests(3);
  expect(await client.monitor(behind, as('a'))).toMatchObject({
    status: 'queued',
    key: 'customer-42',
    next: { reason: 'key' },
  });
  const listed = (await (await client.admin('GET', '/requests?key=customer-42')).json()) as {
    requests: [];
  };
  expect(listed.requests).toHaveLength(4);
});

test('promise: one in flight per key, in order of acceptance', async () => {
  let inFlight = 0;
  let most = 0;
  const gates: Array<() => void> = [];
  const origin = await startOrigin(({ request, response }) => {
    if (!(request.url ?? '').startsWith('/orders')) return void response.end();
    most = Math.max(most, ++inFlight);
    gates.push(() => {
      inFlight--;
      response.end('ok');
    });
  });
  const client = await startDurable(durableConfig(origin));
  const locations: string[] = [];
  for (const n of [1, 2, 3])
    locations.push(await client.accepted({ 'breakwater-key': 'customer-42' }, {}, `/api/orders/${n}`));
  await client.done(await client.accepted({ 'breakwater-key': 'customer-43' }, {}, '/api/other'));
  expect(await client.monitor(locations[1] ?? '')).toMatchObject({
    status: 'queued',
    next: { reason: 'key' },
  });
  for (const [n, location] of locations.entries()) {
    await origin.until(() => gates.length === n + 1);
    gates[n]?.();
    expect(await client.done(location)).toMatchObject({ status: 'succeeded' });
  }
  expect(most).toBe(1);
  const orders = origin.requests.map(({ url }) => url).filter((url) => url.startsWith('/orders'));
  expect(orders).toEqual(['/orders/1', '/orders/2', '/orders/3']);
});

test('promise: work accepted is never silently lost: no 202 when the store cannot commit', async () => {
  const origin = await startOrigin(ok());
  const client = await startDurable(durableConfig(origin));
  // Up to the settlement: a stored result makes the store healthy again.
  await client.done(await client.accepted());
  const { StoreError } = await import('../../src/durable/store/db.ts');
  const { SqlStore } = await import('../../src/durable/store/sql-store.ts');
  const { vi } = await import('vitest');
  const full = () => Promise.reject(new StoreError('full', 'the disk is full'));
  vi.spyOn(SqlStore.prototype, 'submit').mockImplementation(full);
  onTestFinished(() => void vi.restoreAllMocks());
  const reply = await client.submit();
  expect([reply.status, reply.headers.get('retry-after')]).toEqual([503, '5']);
  expect(await reply.json()).toMatchObject({
    code: 'store_unavailable',
    detail: expect.stringContaining('full'),
  });
  const metrics = async () => (await fetch(`${client.proxy.adminUrl}/metrics`)).text();
  const ready = async () => (await fetch(`${client.proxy.adminUrl}/readyz`)).text();
  expect(await ready()).toBe('store_failed\n');
  expect(await metrics()).toContain('breakwater_store_working 0');
  vi.restoreAllMocks();
  expect((await client.submit()).status).toBe(202);
  expect(await ready()).toBe('ready\n');
  expect(await metrics()).toContain('breakwater_store_working 1');
});

describe('promise: the reason of a wait is shown', () => {
  test('breaker_open: nothing is sent and no attempt counts', async () => {
    const origin = await startOrigin(ok());
    const client = await startDurable(durableConfig(origin));
    await fetch(`${client.proxy.adminUrl}/api/upstreams/api/breaker`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"force":"open"}',
    });
    const location = await client.accepted();
    expect(await client.until(location, ({ next }) => next?.reason === 'breaker_open')).toMatchObject({
      status: 'queued',
      attempts: { made: 0 },
    });
    expect(origin.requests).toEqual([]);
  });

  test('budget: a retry without budget waits and does not count as an attempt', async () => {
    const origin = await startOrigin(status(502), status(502), ok());
    const client = await startDurable(
      durableConfig(origin).replace('retry: {', 'retry: { budget: { cap: 1, ratio: 0, refill: 0.001/s },'),
    );
    const location = await client.accepted();
    expect(await client.until(location, ({ next }) => next?.reason === 'budget')).toMatchObject({
      status: 'waiting',
      attempts: { made: 2 },
    });
  });

  test('budget: a retry that the breaker refused costs nothing', async () => {
    const force = (state: string) =>
      fetch(`${client.proxy.adminUrl}/api/upstreams/api/breaker`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ force: state }),
      });
    const opened = async ({ response }: OriginExchange) => {
      await force('open');
      response.writeHead(502).end();
    };
    const origin = await startOrigin(opened, ok());
    const client = await startDurable(
      durableConfig(origin).replace('retry: {', 'retry: { budget: { cap: 1, ratio: 0, refill: 0.001/s },'),
    );
    const location = await client.accepted();
    await client.until(location, ({ next }) => next?.reason === 'breaker_open');
    await force('closed');
    await client.call('POST', `${location}/retry`);
    const ended = ({ done, next }: Monitor) => done || next?.reason === 'budget';
    expect(await client.until(location, ended)).toMatchObject({ status: 'succeeded', attempts: { made: 2 } });
  });

  test('quota, concurrency: a request above the limit waits without an attempt', async () => {
    const origin = await startOrigin(hang());
    const client = await startDurable(
      durableConfig(origin, { more: '    concurrency: { mode: fixed, max: 1, queue: 0 }' }),
    );
    const live = fetch(`${client.proxy.url}/api/live`).catch(() => undefined);
    await origin.untilRequests(1);
    const location = await client.accepted();
    await client.until(location, ({ next }) => next?.reason === 'concurrency');
    expect(origin.requests).toHaveLength(1);
    await client.proxy.app.stop(0);
    await live;
  });

  test('retry_after: as long as the upstream asks', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(status(429, { 'retry-after': '600' }));
    const client = await startDurable(durableConfig(origin), { clock });
    const monitor = await client.until(await client.accepted(), ({ status }) => status === 'waiting');
    expect(monitor.next?.reason).toBe('retry_after');
    const waitMs = Date.parse(monitor.next?.at ?? '') - clock.wallTime();
    expect(waitMs).toBeGreaterThanOrEqual(600_000);
    expect(waitMs).toBeLessThanOrEqual(605_001);
  });
});

test('promise: monitor and results survive a restart, and results can be read repeatedly', async () => {
  const store = join(temporaryFolder(), 'store.db');
  const origin = await startOrigin(status(503), early(200, {}, 'kept'));
  const first = await startDurable(durableConfig(origin, { store }));
  const location = await first.accepted();
  const before = await first.done(location);
  await first.proxy.app.stop(0);
  const second = await startDurable(durableConfig(origin, { store }));
  expect(await second.monitor(location)).toEqual(before);
  for (const _ of [1, 2])
    expect(await (await second.call('GET', `${location}/response`)).text()).toBe('kept');
  expect(origin.requests).toHaveLength(2);
});

test('promise: configuration by environment', () => {
  const text = `
durable: { store: "\${STORE}", backlog: "\${BACKLOG:-5}" }
upstreams: { api: { url: https://api.example.com, durable: { attempts: "\${ATTEMPTS}" } } }`;
  const loaded = loadConfig('config.yaml', { STORE: '/data/jobs.db', ATTEMPTS: '7' }, () => text);
  expect(loaded).toMatchObject({
    ok: true,
    config: {
      durable: { store: '/data/jobs.db', backlog: 5 },
      upstreams: [{ routes: [{ settings: { durable: { options: { attempts: 7 } } } }] }],
    },
  });
});

test('promise: the planned schedule matches the real one', async () => {
  const file = join(
    temporaryFolder({
      'config.yaml':
        'upstreams: { api: { url: https://api.example.com, durable: { attempts: 3, backoff: { base: 1s, factor: 2, jitter: full } } } }',
    }),
    'config.yaml',
  );
  const shown = breakwater('explain', 'GET', '/api/x', '--config', file, '--json');
  expect(await shown.ended()).toBe(0);
  expect(JSON.parse(shown.out)).toMatchObject({
    durable: {
      attempts: 3,
      schedule: {
        waits: [
          { minMs: 0, medianMs: 500, maxMs: 1_000 },
          { minMs: 0, medianMs: 1_000, maxMs: 2_000 },
        ],
      },
    },
  });
});
