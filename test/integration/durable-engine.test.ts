import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Cancellation } from '../../src/durable/cancellation.ts';
import type { NewJob } from '../../src/durable/job.ts';
import { StoreError } from '../../src/durable/store/db.ts';
import { openStore } from '../../src/durable/store/open.ts';
import { SqlStore } from '../../src/durable/store/sql-store.ts';
import { breakwater, temporaryFolder } from '../support/command.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, type Origin, ok, startOrigin, status } from '../support/origin.ts';

function job(n: number): NewJob {
  const now = Date.now();
  return {
    id: `req_${n.toString(16).padStart(32, '0')}`,
    kind: 'request',
    route: 'api/default',
    tenant: '',
    method: 'GET',
    target: `/${n}`,
    headers: [],
    body: new Uint8Array(0),
    sha256: '',
    caller: '',
    idempotencyKey: null,
    fingerprint: String(n),
    upstreamKey: null,
    orderKey: null,
    labels: [],
    createdAt: now,
    dueAt: now,
    deadlineAt: now + 86_400_000,
    callbackUrl: null,
    parent: null,
    requestId: null,
    traceparent: null,
    runnerState: '',
  };
}

test('an open breaker moves a backlog of 10 000 and brings it back as a ramp, without an attempt', {
  timeout: 60_000,
}, async () => {
  const store = join(temporaryFolder(), 'store.db');
  const filled = await openStore(store);
  await Promise.all(Array.from({ length: 10_000 }, (_, n) => filled.submit(job(n))));
  await filled.close();

  const origin = await startOrigin(status(503));
  const client = await startDurable(
    durableConfig(origin, {
      store,
      more: '    breaker: { window: 1m, min_requests: 10, wait: { min: 5m, max: 5m } }',
    }),
  );
  await client.proxy.until(() => client.proxy.states.some((event) => event.type === 'breaker_changed'));
  const moved = async () => {
    const reply = await client.admin('GET', '/requests?limit=500&min_attempts=0');
    const { requests } = (await reply.json()) as {
      requests: { attempts: { made: number }; next?: { at: string; reason?: string } }[];
    };
    return requests;
  };
  let newest = await moved();
  while (newest.some(({ next }) => next?.reason !== 'breaker_open')) newest = await moved();

  // The newest 500 of 10 000 come last: at the end of a ramp of 100 s behind the breaker's 5 minutes.
  const at = newest.map(({ next }) => Date.parse(next?.at ?? ''));
  expect(newest.every(({ attempts }) => attempts.made === 0)).toBe(true);
  expect(Math.max(...at) - Math.min(...at)).toBeGreaterThan(3_000);
  expect(Math.min(...at) - Date.now()).toBeGreaterThan(5 * 60_000);
  expect(at).toEqual(at.toSorted((a, b) => b - a));
  // 32 begin at once. Each of the first 9 failures lets one more begin; the tenth opens the breaker.
  // By default, failures in a row must span a second or be 20, so their number would depend on the machine.
  expect(origin.requests.length).toBeLessThanOrEqual(32 + 9);
});

test('a route runs at most its configured number of attempts, and a full route does not block others', async () => {
  let most = 0;
  const open = new Set<() => void>();
  const slow = await startOrigin(({ response }) => {
    open.add(() => response.end());
    most = Math.max(most, open.size);
  });
  const client = await startDurable(
    durableConfig(slow, {
      durable: 'concurrency: 2',
      more: '    routes: [{ name: other, match: { path: /other }, durable: { concurrency: 1 } }]',
    }),
  );
  for (let n = 0; n < 5; n++) await client.accepted();
  await slow.untilRequests(2);
  const other = await client.accepted({}, {}, '/api/other');
  await slow.untilRequests(3);
  expect(slow.requests.map(({ url }) => url)).toEqual(['/orders', '/orders', '/other']);
  expect(most).toBe(3);
  for (let n = 3; n <= 6; n++) {
    for (const end of open) end();
    open.clear();
    await slow.untilRequests(n);
  }
  for (const end of open) end();
  expect(await client.done(other)).toMatchObject({ status: 'succeeded' });
});

/** An upstream that replies when the test says so. */
async function startHolding() {
  const open: (() => void)[] = [];
  const origin = await startOrigin(({ response }) => {
    open.push(() => response.end());
  });
  const release = () => {
    for (const end of open.splice(0)) end();
  };
  return { origin, release };
}

test('without a configured number, concurrent attempts grow with each success', async () => {
  const { origin, release } = await startHolding();
  const client = await startDurable(durableConfig(origin, { more: '    concurrency: off' }));
  const accepted = await Promise.all(Array.from({ length: 150 }, () => client.accepted()));
  // 32 at once, then 64, then the rest.
  for (const sentSoFar of [32, 96, 150]) {
    await origin.untilRequests(sentSoFar);
    expect(origin.requests.length).toBe(sentSoFar);
    release();
  }
  for (const location of accepted) expect(await client.done(location)).toMatchObject({ status: 'succeeded' });
});

test('with a concurrency limit, durable attempts leave a permit for a live call', async () => {
  const { origin, release } = await startHolding();
  const client = await startDurable(
    durableConfig(origin, { more: '    concurrency: { mode: fixed, max: 4, queue: 0 }' }),
  );
  const accepted = await Promise.all(Array.from({ length: 10 }, () => client.accepted()));
  await origin.untilRequests(3);
  const live = fetch(`${client.proxy.url}/api/live`);
  await origin.untilRequests(4);
  expect(origin.requests.map(({ url }) => url)).toEqual(['/orders', '/orders', '/orders', '/live']);
  const giving = setInterval(release, 5);
  onTestFinished(() => clearInterval(giving));
  expect((await live).status).toBe(200);
  for (const location of accepted) expect(await client.done(location)).toMatchObject({ status: 'succeeded' });
});

test('the credentials of callers are not stored, or encrypted if configured, and sent with every attempt', async () => {
  const secret = 'Bearer a-secret-that-must-not-leak';
  const origin = await startOrigin(status(503), ok());
  const mine = { authorization: secret, cookie: 'session=also-secret' };
  for (const encrypted of [false, true]) {
    const store = join(temporaryFolder(), 'store.db');
    const process = encrypted
      ? `credentials: encrypted, credentials_key: ${randomBytes(32).toString('hex')}`
      : '';
    const client = await startDurable(durableConfig(origin, { store, process }));
    const before = origin.requests.length;
    const location = await client.accepted(mine);
    expect(await client.done(location, mine)).toMatchObject({ status: 'succeeded' });
    for (const { headers } of origin.requests.slice(before)) {
      expect(headers.authorization).toBe(encrypted ? secret : undefined);
      expect(headers.cookie).toBe(encrypted ? 'session=also-secret' : undefined);
      expect(headers['breakwater-sealed']).toBeUndefined();
    }
    await client.proxy.app.stop(0);
    const db = new DatabaseSync(store, { readOnly: true });
    const rows = JSON.stringify(db.prepare('SELECT headers FROM breakwater_request').all());
    db.close();
    expect(rows).not.toContain('secret');
    expect(rows.includes('breakwater-sealed')).toBe(encrypted);
  }
});

test('injected fields are added when the request is sent and never stored', async () => {
  const store = join(temporaryFolder(), 'store.db');
  const origin = await startOrigin(ok());
  const client = await startDurable(
    durableConfig(origin, {
      store,
      more: '    headers: { set: { authorization: Bearer ours }, remove: [x-internal] }',
    }),
  );
  await client.done(await client.accepted({ 'x-internal': '1', 'x-kept': '2' }));
  const [sent] = origin.requests;
  expect([sent?.headers.authorization, sent?.headers['x-internal'], sent?.headers['x-kept']]).toEqual([
    'Bearer ours',
    undefined,
    '2',
  ]);
  await client.proxy.app.stop(0);
  const db = new DatabaseSync(store, { readOnly: true });
  expect(JSON.stringify(db.prepare('SELECT headers FROM breakwater_request').all())).not.toContain('ours');
  db.close();
});

test('a body that ends early is a failed attempt', async () => {
  const origin = await startOrigin(({ request, response }) => {
    response.writeHead(200, { 'content-length': 10 });
    response.write('half', () => request.socket.destroy());
  }, ok('the whole'));
  const client = await startDurable(durableConfig(origin));
  const location = await client.accepted();
  expect(await client.done(location)).toMatchObject({ status: 'succeeded', attempts: { made: 2 } });
  const { attempts } = (await (await client.call('GET', `${location}/attempts`)).json()) as {
    attempts: object[];
  };
  expect(attempts[0]).toMatchObject({ error: 'response_incomplete', reason: 'backoff' });
});

test('draining lets a running attempt finish, begins no other, and answers long polls', async () => {
  const store = join(temporaryFolder(), 'store.db');
  let end = () => {};
  const origin = await startOrigin(({ response }) => void (end = () => response.end('in time')));
  const client = await startDurable(durableConfig(origin, { store, durable: 'concurrency: 1' }));
  const first = await client.accepted();
  const second = await client.accepted();
  await origin.untilRequests(1);
  const waiting = client.monitor(first, { prefer: 'wait=60' });
  const stopped = client.proxy.app.stop(20_000);
  expect(await waiting).toMatchObject({ status: 'running' });
  end();
  await stopped;
  expect(origin.requests).toHaveLength(1);

  const after = await startDurable(durableConfig(await startOrigin(ok('later')), { store }));
  expect(await after.done(first)).toMatchObject({ status: 'succeeded', attempts: { made: 1 } });
  expect(await after.done(second)).toMatchObject({ status: 'succeeded', attempts: { made: 1 } });
});

test('a reload keeps running and waiting requests and applies the new configuration', async () => {
  const old = await startOrigin(status(503));
  const renewed = await startOrigin(ok('new'));
  const store = join(temporaryFolder(), 'store.db');
  const slow = (origin: Origin) =>
    durableConfig(origin, { store }).replace(
      'base: 1ms, overloaded_base: 1ms',
      'base: 1h, overloaded_base: 1h, max: 1h',
    );
  const client = await startDurable(slow(old));
  const location = await client.accepted();
  await client.until(location, ({ status }) => status === 'waiting');
  client.proxy.rewrite(slow(renewed));
  await client.proxy.app.reload();
  await client.call('POST', `${location}/retry`);
  expect(await client.done(location)).toMatchObject({ status: 'succeeded', attempts: { made: 2 } });
  expect(renewed.requests).toHaveLength(1);
});

test('a configuration that becomes durable by a reload opens its store then', async () => {
  const origin = await startOrigin(ok());
  const yaml = durableConfig(origin);
  const client = await startDurable(yaml.replace(/ {4}durable: .*\n/, ''));
  expect((await client.submit()).status).toBe(200);
  expect((await client.call('GET', '/_breakwater/openapi.json')).status).toBe(404);
  client.proxy.rewrite(yaml);
  await client.proxy.app.reload();
  for (;;) {
    const { status: code } = await client.submit();
    if (code === 202) break;
    expect(code).toBe(503);
  }
});

test.each([
  [
    'a damaged file',
    (file: string) => writeFileSync(file, randomBytes(8192)),
    /not a database|damaged|corrupt/i,
  ],
  ['a folder that is not there', (file: string) => file, /store\.db|no such|cannot/i],
])('start is refused for %s, with the reason', async (what, spoil, reason) => {
  const folder = temporaryFolder();
  const file = what === 'a damaged file' ? join(folder, 'store.db') : join(folder, 'none', 'store.db');
  if (what === 'a damaged file') spoil(file);
  writeFileSync(
    join(folder, 'config.yaml'),
    `listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n${durableConfig({ url: 'http://127.0.0.1:1' }, { store: file })}`,
  );
  const proxy = breakwater('start', '--config', join(folder, 'config.yaml'));
  expect(await proxy.ended()).toBe(1);
  expect(proxy.err).toMatch(reason);
});

test('one line is logged for each request that has ended, with its attempts', async () => {
  const origin = await startOrigin(status(503), ok());
  const client = await startDurable(durableConfig(origin));
  await client.done(await client.accepted());
  await client.proxy.until(() => client.proxy.logs.some(({ message }) => message.startsWith('durable ')));
  const lines = client.proxy.logs.filter(({ message }) => message.startsWith('durable '));
  expect(lines.map(({ message }) => message)).toEqual([
    'durable PUT api/default succeeded after 2 attempts: 503 → 200',
  ]);
  expect(lines[0]?.fields).toMatchObject({
    attempts: [
      { n: 1, status: 503 },
      { n: 2, status: 200 },
    ],
  });
});

test('with log.requests: none nothing is logged', async () => {
  const origin = await startOrigin(ok());
  const client = await startDurable(durableConfig(origin, { top: 'log: { requests: none }' }));
  for (let n = 0; n < 2; n++) await client.done(await client.accepted());
  expect(client.proxy.logs.filter(({ message }) => message.startsWith('durable '))).toEqual([]);
});

test('deferrals, ends and the store have metrics', async () => {
  const origin = await startOrigin(ok());
  const client = await startDurable(durableConfig(origin));
  await client.done(await client.accepted());
  const text = await (await fetch(`${client.proxy.adminUrl}/metrics`)).text();
  expect(text).toContain('breakwater_durable_requests{upstream="api",route="default",status="succeeded"} 1');
  expect(text).toContain('breakwater_durable_oldest_due_seconds{upstream="api",route="default"} 0');
  expect(text).toContain(
    'breakwater_durable_time_to_done_seconds_count{upstream="api",route="default",status="succeeded"} 1',
  );
  expect(text).toMatch(/breakwater_store_bytes [1-9]/);
  expect(text).toMatch(/breakwater_store_commit_seconds_count [1-9]/);
});

test('a result that the store refused is offered again, and nothing is sent twice', async () => {
  const origin = await startOrigin(ok('kept after all'));
  const clock = new FakeClock();
  const client = await startDurable(durableConfig(origin), { clock });
  const full = () => Promise.reject(new StoreError('full', 'the disk is full'));
  const spy = vi.spyOn(SqlStore.prototype, 'settle').mockImplementationOnce(full);
  onTestFinished(() => spy.mockRestore());
  const location = await client.accepted();
  await clock.untilAsleep();
  expect(await (await fetch(`${client.proxy.adminUrl}/readyz`)).text()).toBe('store_failed\n');
  await clock.advance(1_000);
  expect(await client.until(location, ({ done }) => done)).toMatchObject({ status: 'succeeded' });
  expect(origin.requests).toHaveLength(1);
});

test('a committed request gets its 202, even if the store fails during the wait for its result', async () => {
  const origin = await startOrigin(ok('done'));
  const client = await startDurable(durableConfig(origin));
  const full = () => Promise.reject(new StoreError('failed', 'it broke'));
  const spy = vi.spyOn(SqlStore.prototype, 'get').mockImplementationOnce(full);
  onTestFinished(() => spy.mockRestore());
  const location = await client.accepted({ prefer: 'respond-async, wait=30' });
  expect(spy).toHaveBeenCalled();
  expect(await client.done(location)).toMatchObject({ status: 'succeeded' });
});

test('a cancel while a result is being stored cancels the request and its next attempt', async () => {
  const origin = await startOrigin(status(503), hang());
  const clock = new FakeClock();
  const client = await startDurable(durableConfig(origin), { clock });
  const full = () => Promise.reject(new StoreError('full', 'the disk is full'));
  const settle = vi.spyOn(SqlStore.prototype, 'settle').mockImplementationOnce(full);
  const asked = Promise.withResolvers<void>();
  const cancelling = vi.spyOn(Cancellation.prototype, 'cancel').mockImplementationOnce(function (
    this: Cancellation,
    job,
  ) {
    cancelling.mockRestore();
    asked.resolve();
    return this.cancel(job);
  });
  onTestFinished(() => settle.mockRestore());
  const location = await client.accepted();
  await clock.untilAsleep();
  const reply = client.call('POST', `${location}/cancel`);
  await asked.promise;
  await clock.advance(1_000);
  expect((await reply).status).toBe(200);
  expect(await client.monitor(location)).toMatchObject({ status: 'cancelled' });
});

test.each(['', '    routes: [{ name: other, match: { path: /other } }]'])(
  'a request whose route was removed waits for it and ends at its deadline; left: "%s"',
  async (more) => {
    const origin = await startOrigin(ok());
    const clock = new FakeClock();
    const store = join(temporaryFolder(), 'store.db');
    const client = await startDurable(durableConfig(origin, { store }), { clock });
    const location = await client.accepted({ 'breakwater-delay': '1s', 'breakwater-deadline': '10m' });
    const renamed = durableConfig(origin, { store, more }).replace('  api:', '  renamed:');
    client.proxy.rewrite(more === '' ? renamed.replace(/\n {4}durable: .*/, '') : renamed);
    await client.proxy.app.reload();
    await clock.advance(1_000);
    await client.until(location, ({ next }) => next?.reason === 'paused');
    await clock.advance(600_000);
    expect(await client.until(location, ({ done }) => done)).toMatchObject({ error: { code: 'deadline' } });
    expect(origin.requests).toEqual([]);
  },
);

test('an attempt that takes too long is aborted, and another follows', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(hang(), ok());
  const client = await startDurable(durableConfig(origin, { more: '    timeouts: { attempt: 10s }' }), {
    clock,
  });
  const location = await client.accepted();
  await origin.untilRequests(1);
  await clock.advance(10_000);
  const waiting = await client.until(location, ({ status: now }) => now === 'waiting');
  expect(waiting.attempts).toMatchObject({ made: 1, last: { error: 'attempt_timeout' } });
  await clock.untilWaiting('runner.ts', 1);
  await clock.advance(1);
  expect(await client.until(location, ({ done }) => done)).toMatchObject({ status: 'succeeded' });
});

test('an attempt that must not be repeated is not aborted before the deadline', async () => {
  const clock = new FakeClock();
  const { promise: late, resolve: answer } = Promise.withResolvers<void>();
  const origin = await startOrigin(async ({ response }) => {
    await late;
    response.end('charged');
  });
  const client = await startDurable(durableConfig(origin), { clock });
  const location = await client.accepted({}, { method: 'POST' });
  await origin.untilRequests(1);
  await clock.advance(20_000);
  answer();
  expect(await client.until(location, ({ done }) => done)).toMatchObject({ status: 'succeeded' });
});

test('for a request due in a month, the runner wakes every minute, because the clock may be set', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok());
  const client = await startDurable(durableConfig(origin, { durable: 'deadline: 60d' }), { clock });
  const location = await client.accepted({ 'breakwater-delay': '30d' });
  for (let minute = 0; minute < 3; minute++) {
    await clock.untilWaiting('runner.ts', 60_000);
    await clock.advance(60_000);
  }
  expect(await client.monitor(location)).toMatchObject({ status: 'queued', next: { reason: 'not_before' } });
  expect(origin.requests).toEqual([]);
});

test('a used-up quota defers a request without an attempt', async () => {
  const origin = await startOrigin(ok());
  const client = await startDurable(durableConfig(origin, { more: '    quota: [1/h]' }));
  await client.done(await client.accepted());
  const second = await client.accepted();
  const { next, attempts } = await client.until(second, ({ next: now }) => now?.reason === 'quota');
  expect(attempts.made).toBe(0);
  expect(Date.parse(next?.at ?? '') - Date.now()).toBeGreaterThan(10 * 60_000);
  expect(origin.requests).toHaveLength(1);
});

test('two concurrent reloads that add a durable route open the store once', async () => {
  const origin = await startOrigin(ok());
  const yaml = durableConfig(origin);
  const client = await startDurable(yaml.replace(/ {4}durable: .*\n/, ''));
  client.proxy.rewrite(yaml);
  await Promise.all([client.proxy.app.reload(), client.proxy.app.reload()]);
  while ((await client.submit()).status !== 202);
  // The second opening would have found the file locked.
  expect(client.proxy.logs.filter(({ level }) => level === 'error')).toEqual([]);
});
