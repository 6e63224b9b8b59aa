import { request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { apiConfig, type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type OriginExchange, ok, type Step, startOrigin, status } from '../support/origin.ts';
import { passTime } from '../support/quota-origin.ts';
import { connectRaw, type RawClient } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { refusingOrigin } from '../support/raw-origin.ts';
import { type QuotaState, startTidy, stateOf, untilState } from '../support/tidy.ts';

const WAITED = { 'retry-after': '5' };

async function start(steps: readonly Step[], more = '') {
  const clock = new FakeClock();
  const origin = await startOrigin(...steps);
  const proxy = await startTidy(apiConfig(origin, more), { clock });
  return { clock, origin, proxy };
}

async function send(proxy: Breakwater, headers = '', path = '/'): Promise<RawClient> {
  const client = await connectRaw(proxy.port);
  await client.send(`GET /api${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`);
  return client;
}

async function quotaOf(proxy: Breakwater): Promise<QuotaState | undefined> {
  return (await stateOf(proxy)).upstreams[0]?.scopes[0]?.quota;
}

const waiting = (proxy: Breakwater, count: number) =>
  untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.quota?.waiting === count);

async function metricOf(proxy: Breakwater, name: string): Promise<string[]> {
  const text = await (await fetch(`${proxy.adminUrl}/metrics`, { headers: { connection: 'close' } })).text();
  return text.split('\n').filter((line) => line.startsWith(`breakwater_${name}{`));
}

/** Two refusals in a row are evidence of a limit. */
const LIMITED = [status(429, WAITED), status(429, WAITED)];

async function limit(proxy: Breakwater, headers = ''): Promise<void> {
  for (const _ of LIMITED) await (await send(proxy, headers)).readReply();
}

test('a call with a Retry-After is retried after the cooldown, and its wait uses no attempt', async () => {
  const { clock, origin, proxy } = await start([...LIMITED, ok('probe'), ok('second')]);
  const first = await send(proxy);
  await clock.untilAsleep();
  const second = await send(proxy);
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.quota?.cooldowns === 1);
  const third = await send(proxy);
  await waiting(proxy, 1);
  expect(await quotaOf(proxy)).toMatchObject({
    cooldowns: 1,
    credentials: [
      { credential: '', waiting: 1 },
      { credential: '', limited: 'GET /', cooldown: { cause: 'retry_after' } },
    ],
  });
  await passTime(clock, () => proxy.ended.length === 3, 100);
  const replies = [await first.readReply(), await second.readReply(), await third.readReply()];
  expect(replies.map((reply) => [reply.status, rawHeader(reply, 'breakwater-attempts')])).toEqual([
    [200, '2'],
    [200, '2'],
    [200, '1'],
  ]);
  expect(origin.requests.length).toBe(5);
  const record = proxy.ended.find(({ attempts }) => attempts === 1);
  expect(record?.entries[0]?.quota?.cause).toBe('cooldown');
  // It was the probe, and did not wait for the 5 seconds.
  expect(record?.notes.quota_ms).toBeGreaterThanOrEqual(1_000);
  expect(record?.notes.quota_ms).toBeLessThan(2_000);
  expect(proxy.logs.map(({ message }) => message)).toContainEqual(
    expect.stringMatching(
      /^quota of api: GET \/ of one credential wait for 5\.\d s, or until a probe succeeds: the upstream says how long to wait$/,
    ),
  );
  expect(await metricOf(proxy, 'quota_cooldowns_total')).toEqual([
    'breakwater_quota_cooldowns_total{upstream="api",scope="api",cause="retry_after"} 1',
  ]);
  expect(await metricOf(proxy, 'quota_wait_seconds_count')).toEqual([expect.stringMatching(/ 1$/)]);
});

test('a refusal is counted, said in the log, and is a 429 of our own', async () => {
  const more = '    retry: off\n    timeouts: { attempt: 2s, total: 3s }\n';
  const { clock, origin, proxy } = await start([status(429, WAITED)], more);
  await limit(proxy);
  const probe = await send(proxy);
  await waiting(proxy, 1);
  await clock.advance(1_200);
  expect(rawHeader(await probe.readReply(), 'breakwater-origin')).toBe('upstream');
  const reply = await (await send(proxy)).readReply();
  expect([reply.status, rawHeader(reply, 'breakwater-origin')]).toEqual([429, 'proxy']);
  await proxy.untilEnded(4);
  expect(origin.requests.length).toBe(3);
  expect(await metricOf(proxy, 'rejected_total')).toEqual([
    'breakwater_rejected_total{upstream="api",route="default",reason="quota"} 1',
  ]);
  expect(proxy.logs.at(-1)?.message).toBe('GET api/ 429 rejected, quota');
});

test('learned limits are shown, and survive a reload', async () => {
  const says = {
    'x-ratelimit-limit': '100',
    'x-ratelimit-remaining': '40',
    'x-ratelimit-reset': '60',
  };
  const { origin, proxy } = await start([ok('ok', says)]);
  await (await send(proxy, 'authorization: Bearer s3cret\r\n')).readReply();
  const known = [{ bucket: 'default', limit: 100, remaining: 40, reset_ms: 60_000 }];
  const before = await quotaOf(proxy);
  expect(before).toEqual({
    waiting: 0,
    cooldowns: 0,
    credentials: [
      { credential: expect.stringMatching(/^[\w-]{16}$/), limited: 'GET /', waiting: 0, buckets: known },
    ],
  });
  expect(await metricOf(proxy, 'quota_remaining')).toEqual([
    'breakwater_quota_remaining{upstream="api",scope="api",bucket="default"} 40',
  ]);
  proxy.rewrite(apiConfig(origin, '    retry: off\n'));
  await proxy.app.reload();
  expect(await quotaOf(proxy)).toEqual(before);
  proxy.rewrite(apiConfig(origin, '    quota: { queue: 5 }\n'));
  await proxy.app.reload();
  expect(await quotaOf(proxy)).toEqual(before);
  proxy.rewrite(apiConfig(origin, '    quota: off\n'));
  await proxy.app.reload();
  expect(await quotaOf(proxy)).toBeUndefined();
});

test('each credential waits alone, and none is stored', async () => {
  const { proxy, clock } = await start([...LIMITED, ok()], '    retry: off\n');
  await limit(proxy, 'x-api-key: s3cret-a\r\n');
  expect((await (await send(proxy, 'x-api-key: s3cret-b\r\n')).readReply()).status).toBe(200);
  expect((await (await send(proxy)).readReply()).status).toBe(200);
  const held = await send(proxy, 'x-api-key: s3cret-a\r\n');
  await waiting(proxy, 1);
  expect(JSON.stringify([await stateOf(proxy), proxy.logs])).not.toContain('s3cret');
  await clock.advance(6_000);
  expect((await held.readReply()).status).toBe(200);
});

test('a client that leaves ends its wait at once', async () => {
  const { proxy, clock, origin } = await start([...LIMITED, ok()], '    retry: off\n');
  await limit(proxy);
  const gone = await send(proxy);
  await waiting(proxy, 1);
  gone.abort();
  await waiting(proxy, 0);
  await clock.advance(6_000);
  expect(origin.requests.length).toBe(2);
});

test('a drain ends all waits at once', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(...LIMITED, ok());
  const proxy = await startBreakwater(apiConfig(origin, '    retry: off\n'), { clock });
  await limit(proxy);
  const client = await send(proxy);
  await waiting(proxy, 1);
  const stopped = proxy.app.stop();
  const reply = await client.readReply();
  expect([reply.status, JSON.parse(reply.body.toString()).code]).toEqual([503, 'draining']);
  expect([clock.now(), origin.requests.length]).toEqual([0, 2]);
  await clock.advance(1_000);
  await stopped;
});

test('tokens come back when nothing was sent', async () => {
  const clock = new FakeClock();
  const origin = await refusingOrigin();
  const proxy = await startTidy(
    apiConfig(origin, '    retry: off\n    breaker: off\n    quota: [{ limit: 1/m, burst: 1 }]\n'),
    { clock },
  );
  for (let i = 0; i < 3; i++) expect((await (await send(proxy)).readReply()).status).toBe(502);
  expect(await quotaOf(proxy)).toMatchObject({
    credentials: [{ buckets: [{ bucket: '1/m', remaining: 1 }] }],
  });
});

test('quota: off neither waits nor learns', async () => {
  const { proxy } = await start([status(429, WAITED), ok()], '    retry: off\n    quota: off\n');
  expect((await (await send(proxy)).readReply()).status).toBe(429);
  expect((await (await send(proxy)).readReply()).status).toBe(200);
});

test('the cost of a call is read from its body', async () => {
  const more =
    '    timeouts: { attempt: 2s, total: 3s }\n    quota: { windows: 1000/m, cost: { body: /max_tokens } }\n';
  const { proxy } = await start([ok()], more);
  const post = async (tokens: number) => {
    const body = JSON.stringify({ max_tokens: tokens });
    const client = await connectRaw(proxy.port);
    await client.send(`POST /api/ HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    return (await client.readReply()).status;
  };
  expect(await post(900)).toBe(200);
  expect(await post(300)).toBe(429);
  expect(await post(100)).toBe(200);
});

test('quota outside concurrency: a call that waits for the quota holds no permit', async () => {
  const more = '    retry: off\n    quota: 1/s\n    concurrency: { mode: fixed, max: 1, queue: 0 }\n';
  const { proxy, clock } = await start([ok('1'), ok('2')], more);
  expect((await (await send(proxy)).readReply()).body.toString()).toBe('1');
  const second = await send(proxy);
  await waiting(proxy, 1);
  expect((await stateOf(proxy)).upstreams[0]?.scopes[0]?.concurrency?.in_flight).toBe(0);
  await clock.advance(1_000);
  expect((await second.readReply()).body.toString()).toBe('2');
});

test('quota outside concurrency: an attempt that waits for a permit when a cooldown starts is not sent', async () => {
  const exchanges: OriginExchange[] = [];
  const more = '    retry: off\n    concurrency: { mode: fixed, max: 1, queue: 5, wait: 20s }\n';
  const { proxy, clock, origin } = await start([(exchange) => void exchanges.push(exchange)], more);
  const first = await send(proxy);
  await origin.untilRequests(1);
  const second = await send(proxy);
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === 1);
  exchanges[0]?.response.writeHead(429, WAITED).end();
  expect((await first.readReply()).status).toBe(429);
  await origin.untilRequests(2);
  const third = await send(proxy);
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === 1);
  exchanges[1]?.response.writeHead(429, WAITED).end();
  expect((await second.readReply()).status).toBe(429);
  await waiting(proxy, 1);
  expect(origin.requests.length).toBe(2);
  await clock.advance(6_000);
  await origin.untilRequests(3);
  exchanges[2]?.response.end('late');
  const reply = await third.readReply();
  expect([reply.body.toString(), rawHeader(reply, 'breakwater-attempts')]).toEqual(['late', '1']);
});

test('quota outside the breaker: waiting is no failure, and the refusal is not the upstream’s', async () => {
  const more =
    '    retry: off\n    timeouts: { attempt: 1s, total: 500ms }\n    breaker: { min_requests: 1, failure_rate: 1%, consecutive_failures: 1 }\n';
  const { clock, proxy } = await start([status(429, WAITED)], more);
  await limit(proxy);
  for (let i = 1; i <= 3; i++) {
    const client = await send(proxy);
    await waiting(proxy, 1);
    await clock.advance(100);
    client.abort();
    await waiting(proxy, 0);
  }
  expect((await stateOf(proxy)).upstreams[0]?.scopes[0]?.breaker?.state).toBe('closed');
});

test('a quota that is used up for good: no call waits for it, and the reply says so', async () => {
  const rule =
    '    errors: { rules: [{ status: 429, body: { /code: insufficient_quota }, means: permanent, throttled: true }] }\n';
  const { proxy, origin } = await start(
    [status(429, { 'content-type': 'application/json' }, '{"code":"insufficient_quota"}')],
    rule,
  );
  const first = await (await send(proxy)).readReply();
  expect([first.status, first.body.toString()]).toEqual([429, '{"code":"insufficient_quota"}']);
  // One of them waits for a second, to ask again.
  await send(proxy);
  await waiting(proxy, 1);
  const second = await (await send(proxy)).readReply();
  expect(second.status).toBe(429);
  expect(JSON.parse(second.body.toString())).toMatchObject({
    code: 'quota',
    detail: expect.stringContaining('waiting does not restore the quota'),
  });
  expect(origin.requests.length).toBe(1);
  expect(await metricOf(proxy, 'quota_cooldowns_total')).toEqual([
    'breakwater_quota_cooldowns_total{upstream="api",scope="api",cause="permanent"} 1',
  ]);
});

/** Sends a request to `path` from a loopback address of its own. */
const SENDERS = {
  'HTTP/1.1': (port: number, localAddress: string, path: string) =>
    request({ port, host: '127.0.0.1', localAddress, path, agent: false }).end(),
  'HTTP/2': (port: number, localAddress: string, path: string) => {
    const createConnection = () => connectTcp({ port, host: '127.0.0.1', localAddress });
    const session = connectHttp2(`http://127.0.0.1:${port}`, { createConnection });
    onTestFinished(() => session.destroy());
    session.request({ ':path': path }).resume();
  },
};

test.each(Object.entries(SENDERS))(
  'hosts that wait take turns, however many calls one of them has waiting (%s)',
  async (_protocol, send) => {
    const clock = new FakeClock();
    const origin = await startOrigin(ok());
    const proxy = await startTidy(
      `clients: { http2: true }\n${apiConfig(origin, `    timeouts: { total: 60s }\n    quota: 1/s\n`)}`,
      {
        clock,
      },
    );
    const [busy, other] = ['127.0.0.1', '127.0.0.2'] as const;
    for (const [place, sender, path] of [
      [0, busy, 'first'],
      [1, busy, 'second'],
      [2, busy, 'third'],
      [3, other, 'of another'],
    ] as const) {
      send(proxy.port, sender, `/api/${encodeURIComponent(path)}`);
      await vi.waitUntil(() => origin.requests.length === 1);
      await waiting(proxy, place);
    }
    await passTime(clock, () => origin.requests.length === 4);
    const order = origin.requests.map(({ url }) => decodeURIComponent(url.slice(1)));
    expect(order).toEqual(['first', 'second', 'of another', 'third']);
  },
);

test('an operator resets a quota: waiting calls leave at once', async () => {
  const { proxy } = await start([ok()], '    retry: off\n    quota: 1/h\n');
  const reset = (name: string, body: string) =>
    fetch(`${proxy.adminUrl}/api/upstreams/${name}/quota`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close' },
      body,
    });
  expect((await (await send(proxy)).readReply()).status).toBe(200);
  expect((await (await send(proxy)).readReply()).status).toBe(429);
  expect((await reset('api', '{"reset":true}')).status).toBe(200);
  expect((await (await send(proxy)).readReply()).status).toBe(200);
  expect((await reset('api', '{}')).status).toBe(400);
  expect((await reset('none', '{"reset":true}')).status).toBe(404);
});
