import { expect, onTestFinished, test, vi } from 'vitest';
import { PeekedBody } from '../../src/policies/error-rules/peeked-body.ts';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, type OriginExchange, ok, type Step, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { settled } from '../support/stub-call.ts';
import { startTidy, stateOf, untilState } from '../support/tidy.ts';

/** One test per pair of neighbours in src/policies/order.ts: why they stand as they do. */

const GET = 'GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n';

async function start(steps: readonly Step[], more: string) {
  const clock = new FakeClock();
  const origin = await startOrigin(...steps);
  const proxy = await startTidy(apiConfig(origin, more), { clock });
  return { clock, origin, proxy };
}

async function send(proxy: Breakwater) {
  const client = await connectRaw(proxy.port);
  await client.send(GET);
  return client;
}

const scopeOf = async (proxy: Breakwater) => (await stateOf(proxy)).upstreams[0]?.scopes[0];
const queued = (proxy: Breakwater, count: number) =>
  untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.queued === count);

const forceOpen = (proxy: Breakwater) =>
  fetch(`${proxy.adminUrl}/api/upstreams/api/breaker`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"force":"open"}',
  });

/** Answers each request when the test says so. */
function held() {
  const exchanges: OriginExchange[] = [];
  const step: Step = (exchange) => void exchanges.push(exchange);
  return { exchanges, step };
}

test('deadline outside retry: attempts and waits end in time, and no wait begins that would end later', async () => {
  const more =
    '    timeouts: { attempt: 4s, total: 10s }\n    retry: { attempts: 9, backoff: { base: 1s, jitter: none } }\n';
  const { clock, origin, proxy } = await start([hang()], more);
  const client = await send(proxy);
  await origin.untilRequests(1);
  await clock.advance(4_000);
  await clock.untilAsleep();
  await clock.advance(1_000);
  await origin.untilRequests(2);
  await clock.advance(4_000);
  // 9 s have passed, and the wait of 1 s would end at the deadline.
  const reply = await client.readReply();
  expect([reply.status, rawHeader(reply, 'breakwater-gave-up')]).toEqual([504, 'deadline']);
  expect(clock.now()).toBe(9_000);
});

test('resume inside retry and outside breaker and limit: a download that waits holds no permit, and each part counts', async () => {
  const part =
    (code: number, fields: Record<string, string>): Step =>
    ({ response }) => {
      response.writeHead(code, { etag: '"v"', ...fields });
      response.write('abc', () => (code === 200 ? response.destroy() : response.end()));
    };
  const more =
    '    resume: true\n    concurrency: 1\n    retry: { attempts: 1, backoff: { base: 1s, jitter: none } }\n';
  const { clock, origin, proxy } = await start(
    [part(200, { 'content-length': '6' }), ok('other'), part(206, { 'content-range': 'bytes 3-5/6' })],
    more,
  );
  const download = await send(proxy);
  await clock.untilAsleep();
  expect((await scopeOf(proxy))?.concurrency?.in_flight).toBe(0);
  expect((await (await send(proxy)).readReply()).body.toString()).toBe('other');
  await clock.advance(1_000);
  expect((await download.readReply()).body.toString()).toBe('abcabc');
  expect(origin.requests.length).toBe(3);
});

test('deadline outside retry: it ends an attempt that the attempt’s own timeout would leave running', async () => {
  const more =
    '    timeouts: { attempt: 4s, total: 6s }\n    retry: { attempts: 9, backoff: { base: 1s, jitter: none } }\n';
  const { clock, origin, proxy } = await start([hang()], more);
  const client = await send(proxy);
  await origin.untilRequests(1);
  await clock.advance(4_000);
  await clock.untilAsleep();
  await clock.advance(1_000);
  await origin.untilRequests(2);
  await clock.advance(1_000);
  const reply = await client.readReply();
  expect([reply.status, JSON.parse(reply.body.toString()).code]).toEqual([504, 'deadline_exceeded']);
  await origin.until(({ openConnections }) => openConnections === 0);
});

test('deadline outside fallback: the fallback ends within the time of the call too', async () => {
  const more =
    '    timeouts: { attempt: 10s, total: 10s }\n    retry: off\n    fallback: { upstream: slow, reserve: 50% }\n';
  const slow = await startOrigin(hang());
  const other = `  slow: { url: ${slow.url}, allow_private: true, timeouts: { attempt: 60s, total: 60s } }\n`;
  const { clock, origin, proxy } = await start([hang()], more + other);
  const client = await send(proxy);
  await origin.untilRequests(1);
  await clock.advance(5_000);
  await slow.untilRequests(1);
  await clock.advance(5_000);
  const reply = await client.readReply();
  expect([reply.status, JSON.parse(reply.body.toString()).code]).toEqual([504, 'deadline_exceeded']);
  await slow.until(({ openConnections }) => openConnections === 0);
});

test('fallback outside retry: it is asked once, after the last attempt', async () => {
  const more =
    '    retry: { attempts: 2, backoff: { base: 1s, jitter: none } }\n    fallback: { upstream: backup }\n';
  const backup = await startOrigin(ok('backup'));
  const { clock, origin, proxy } = await start(
    [status(500)],
    `${more}  backup: { url: ${backup.url}, allow_private: true }\n`,
  );
  const client = await send(proxy);
  await clock.untilAsleep();
  expect([origin.requests.length, backup.requests.length]).toEqual([1, 0]);
  await clock.advance(1_000);
  expect((await client.readReply()).body.toString()).toBe('backup');
  expect([origin.requests.length, backup.requests.length]).toEqual([2, 1]);
});

test('retry outside hedge: the two are one attempt to it, which fails when both have', async () => {
  const { exchanges, step } = held();
  const more =
    '    hedge: { after: 1s, max_extra: 100% }\n    retry: { attempts: 3, backoff: { base: 1s, jitter: none } }\n';
  const { clock, origin, proxy } = await start([step], more);
  const client = await send(proxy);
  await origin.untilRequests(1);
  await clock.advance(1_000);
  await origin.untilRequests(2);
  for (const { request } of exchanges) request.socket.resetAndDestroy();
  await clock.untilAsleep();
  // The waits of an exponential backoff go on from the second attempt.
  await clock.advance(2_000);
  await origin.untilRequests(3);
  exchanges[2]?.response.end('third');
  const reply = await client.readReply();
  expect([reply.body.toString(), rawHeader(reply, 'breakwater-attempts')]).toEqual(['third', '3']);
});

test('hedge outside quota and circuit breaker: each of the two is an attempt to them', async () => {
  const { exchanges, step } = held();
  const more =
    '    hedge: { after: 1s, max_extra: 100% }\n    quota: 3/h\n    retry: { attempts: 2 }\n    breaker: { min_requests: 2, failure_rate: 100% }\n';
  const { clock, origin, proxy } = await start([step], more);
  const client = await send(proxy);
  await origin.untilRequests(1);
  await clock.advance(1_000);
  await origin.untilRequests(2);
  for (const { response } of exchanges) response.writeHead(500).end();
  expect((await client.readReply()).status).toBe(500);
  // Two failures, of which one call has seen one.
  expect((await scopeOf(proxy))?.breaker?.state).toBe('open');
  // Both have taken of it: with three in the hour one is left, which is no room for a hedge and an attempt after it.
  expect((await proxy.untilEnded(1))[0]?.entries.map(({ status: code }) => code)).toEqual([500, 500]);
  const state = JSON.stringify(await stateOf(proxy));
  expect(state).toMatch(/"remaining":1[,}]/);
});

test('retry outside circuit breaker: each attempt counts, and the one that opens it is the last', async () => {
  const more =
    '    breaker: { min_requests: 2, failure_rate: 100% }\n    retry: { attempts: 5, backoff: { base: 1s, jitter: none } }\n';
  const { clock, origin, proxy } = await start([status(500, {}, 'first'), status(500, {}, 'second')], more);
  const client = await send(proxy);
  await clock.untilAsleep();
  expect((await scopeOf(proxy))?.breaker?.state).toBe('closed');
  await clock.advance(1_000);
  const reply = await client.readReply();
  expect([reply.body.toString(), rawHeader(reply, 'breakwater-gave-up')]).toEqual(['second', 'breaker']);
  expect((await scopeOf(proxy))?.breaker?.state).toBe('open');
  expect(origin.requests.length).toBe(2);
});

test('retry outside concurrency: a call in backoff holds no permit', async () => {
  const more =
    '    concurrency: { mode: fixed, max: 1, queue: 0 }\n    retry: { backoff: { overloaded_base: 5s, jitter: none } }\n';
  const { clock, proxy } = await start([status(503), ok('other'), ok('retried')], more);
  const client = await send(proxy);
  await clock.untilAsleep();
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.in_flight === 0);
  expect((await (await send(proxy)).readReply()).body.toString()).toBe('other');
  await clock.advance(5_000);
  expect((await client.readReply()).body.toString()).toBe('retried');
});

test('quota outside circuit breaker: a breaker that opens during the wait for quota refuses the attempt', async () => {
  const more = '    quota: { windows: { limit: 1/10s } }\n    retry: off\n    timeouts: { total: 1000s }\n';
  const { clock, origin, proxy } = await start([ok()], more);
  expect((await (await send(proxy)).readReply()).status).toBe(200);
  const waiting = await send(proxy);
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.quota?.waiting === 1);
  await forceOpen(proxy);
  await clock.advance(10_000);
  const refused = await waiting.readReply();
  expect([refused.status, JSON.parse(refused.body.toString()).code]).toEqual([503, 'breaker_open']);
  expect(origin.requests.length).toBe(1);
});

test('circuit breaker outside concurrency: a refused attempt does not queue for a permit first', async () => {
  const more =
    '    concurrency: { mode: fixed, max: 1, queue: 5, wait: 60s }\n    timeouts: { total: 1000s, attempt: 900s }\n';
  const { exchanges, step } = held();
  const { origin, proxy } = await start([step], more);
  const first = await send(proxy);
  await origin.untilRequests(1);
  await forceOpen(proxy);
  const refused = await (await send(proxy)).readReply();
  expect([refused.status, JSON.parse(refused.body.toString()).code]).toEqual([503, 'breaker_open']);
  const [record] = await proxy.untilEnded(1);
  expect([record?.notes.queued_ms, record?.attempts, record?.outcome]).toEqual([undefined, 0, 'rejected']);
  exchanges[0]?.response.end('done');
  expect((await first.readReply()).status).toBe(200);
  expect(origin.requests.length).toBe(1);
});

test('circuit breaker outside concurrency: our own refusal of a permit is not the upstream’s failure', async () => {
  const more =
    '    concurrency: { mode: fixed, max: 1, queue: 0 }\n    breaker: { min_requests: 1, failure_rate: 1%, consecutive_failures: 1 }\n';
  const { exchanges, step } = held();
  const { origin, proxy } = await start([step], more);
  const first = await send(proxy);
  await origin.untilRequests(1);
  for (let i = 0; i < 3; i++) {
    const reply = await (await send(proxy)).readReply();
    expect(rawHeader(reply, 'proxy-status')).toContain('error=connection_limit_reached');
    expect(rawHeader(reply, 'retry-after')).toBe('1');
  }
  expect((await scopeOf(proxy))?.breaker?.state).toBe('closed');
  exchanges[0]?.response.end('done');
  expect((await first.readReply()).status).toBe(200);
});

test('concurrency outside the inner part of quota: a limit that is learned during the wait for a permit holds', async () => {
  const more =
    '    concurrency: { mode: fixed, max: 1, queue: 5, wait: 60s }\n    retry: off\n    timeouts: { total: 1000s }\n';
  const { exchanges, step } = held();
  const { clock, origin, proxy } = await start([step], more);
  const first = await send(proxy);
  await origin.untilRequests(1);
  const second = await send(proxy);
  await queued(proxy, 1);
  const empty = { 'x-ratelimit-limit': '10', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '20' };
  exchanges[0]?.response.writeHead(200, empty).end('done');
  await first.readReply();
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.quota?.waiting === 1);
  expect(origin.requests.length).toBe(1);
  await clock.advance(25_000);
  await origin.untilRequests(2);
  exchanges[1]?.response.end('done');
  expect((await second.readReply()).status).toBe(200);
});

test('concurrency outside attempt timeout: the wait for a permit is not charged to the attempt', async () => {
  const more =
    '    concurrency: { mode: fixed, max: 1, queue: 5, wait: 60s }\n    timeouts: { attempt: 1s, total: 1000s }\n';
  const { exchanges, step } = held();
  const { clock, origin, proxy } = await start([step], more);
  const first = await send(proxy);
  await origin.untilRequests(1);
  const second = await send(proxy);
  await queued(proxy, 1);
  await clock.advance(900);
  exchanges[0]?.response.end('first');
  expect((await first.readReply()).body.toString()).toBe('first');
  await origin.untilRequests(2);
  await clock.advance(900);
  exchanges[1]?.response.end('second');
  const reply = await second.readReply();
  expect([reply.body.toString(), rawHeader(reply, 'breakwater-attempts')]).toEqual(['second', '1']);
  expect((await proxy.untilEnded(2))[1]?.notes.queued_ms).toBe(900);
});

test('attempt timeout around the upstream: the request is really cancelled, and the next one answers', async () => {
  const more =
    '    timeouts: { attempt: 1s }\n    concurrency: { max: 10 }\n    retry: { backoff: { base: 1s, jitter: none } }\n';
  const { clock, origin, proxy } = await start([hang(), ok('second')], more);
  const client = await send(proxy);
  await origin.untilRequests(1);
  await clock.advance(999);
  expect(origin.openConnections).toBe(1);
  await clock.advance(1);
  await origin.until(({ openConnections }) => openConnections === 0);
  // Running out of time is the evidence that lowers the limit.
  expect((await scopeOf(proxy))?.concurrency).toMatchObject({ limit: 10, in_flight: 0 });
  await clock.untilAsleep();
  await clock.advance(1_000);
  const reply = await client.readReply();
  expect([reply.body.toString(), rawHeader(reply, 'breakwater-attempts')]).toEqual(['second', '2']);
});

test('attempt timeout around the upstream: the head stops the clock, the body takes its time', async () => {
  const { exchanges, step } = held();
  const { clock, origin, proxy } = await start(
    [step],
    '    timeouts: { attempt: 1s, total: 5s, idle: 60s }\n',
  );
  const client = await send(proxy);
  await origin.untilRequests(1);
  exchanges[0]?.response.writeHead(200, { 'content-length': 4 }).write('pa');
  await client.untilText('pa');
  await clock.advance(59_000);
  exchanges[0]?.response.end('rt');
  expect((await client.readReply()).body.toString()).toBe('part');
});

test('dedupe outside deadline: a repeat waits for the first request until its own deadline', async () => {
  const more =
    '    retry: { idempotency_key: pass }\n    dedupe: 1h\n    timeouts: { total: 10s, attempt: 10s }\n';
  const { clock, origin, proxy } = await start([hang(), ok('second')], more);
  const keyed = 'POST /api/ HTTP/1.1\r\nhost: x\r\nidempotency-key: k\r\ncontent-length: 0\r\n\r\n';
  const first = await connectRaw(proxy.port);
  await first.send(keyed);
  await origin.untilRequests(1);
  await clock.advance(9_000);
  const second = await connectRaw(proxy.port);
  await second.send(keyed);
  await clock.untilAsleep();
  // The first is out of time; the second takes its place, with 9 s left.
  await clock.advance(1_000);
  expect((await first.readReply()).status).toBe(504);
  const reply = await second.readReply();
  expect([reply.status, reply.body.toString()]).toEqual([200, 'second']);
});

test('dedupe outside retry: the last reply is stored, and all attempts are one request', async () => {
  const more = '    retry: { idempotency_key: pass }\n    dedupe: 1h\n';
  const { clock, origin, proxy } = await start([status(502), ok('rescued')], more);
  const keyed = 'POST /api/ HTTP/1.1\r\nhost: x\r\nidempotency-key: k\r\ncontent-length: 0\r\n\r\n';
  const client = await connectRaw(proxy.port);
  for (const attempts of ['2', '0']) {
    await client.send(keyed);
    if (attempts === '2') {
      await clock.untilAsleep();
      await clock.advance(0);
    }
    const reply = await client.readReply();
    expect([reply.body.toString(), rawHeader(reply, 'breakwater-attempts')]).toEqual(['rescued', attempts]);
  }
  expect(origin.requests.length).toBe(2);
});

test('circuit breaker outside error rules: a rate limit by an error rule is no failure of the upstream', async () => {
  const more = `    retry: off
    quota: off
    breaker: { min_requests: 2, failure_rate: 50% }
    errors: { rules: [{ status: 503, headers: { x-kind: shed }, throttled: true }] }
`;
  const { origin, proxy } = await start([status(503, { 'x-kind': 'shed' })], more);
  for (let i = 0; i < 5; i++) await fetch(`${proxy.url}/api/`);
  expect([origin.requests.length, (await scopeOf(proxy))?.breaker?.state]).toEqual([5, 'closed']);
});

test('attempt timeout outside error rules: reading a body counts as the attempt’s time, and is cancelled', async () => {
  const step: Step = ({ response }) => void response.writeHead(503).write('never ends');
  const more = `    timeouts: { attempt: 500ms }
    retry: { backoff: { base: 0ms, overloaded_base: 0ms } }
    errors: { rules: [{ status: 503, text: gone, means: permanent }] }
`;
  const { clock, origin, proxy } = await start([step, ok('done')], more);
  const write = vi.spyOn(PeekedBody.prototype, 'write');
  onTestFinished(() => write.mockRestore());
  const client = await send(proxy);
  while (write.mock.calls.length === 0) await settled();
  await clock.advance(500);
  expect((await client.readReply()).body.toString()).toBe('done');
  expect(origin.requests.map(({ closed }) => closed)).toEqual([true, true]);
});

test('stream outside attemptTimeout: that time ends with the head, and the first event has a time of its own', async () => {
  const { exchanges, step } = held();
  const more = '    timeouts: { attempt: 1s, total: 10s }\n    stream: { first_event: 5s }\n    retry: off\n';
  const { clock, origin, proxy } = await start([step], more);
  const client = await send(proxy);
  await origin.untilRequests(1);
  const { response } = exchanges[0] as OriginExchange;
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  await clock.untilWaiting('stream-body.ts', 5_000);
  await clock.advance(4_999);
  response.end('data: 1\n\n');
  expect((await client.readReply()).status).toBe(200);
});

test('stream inside the deadline: the wait for the first event ends with it', async () => {
  const { exchanges, step } = held();
  const more = '    timeouts: { total: 3s }\n    stream: { first_event: 5s }\n';
  const { clock, origin, proxy } = await start([step], more);
  const client = await send(proxy);
  await origin.untilRequests(1);
  const { response } = exchanges[0] as OriginExchange;
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  await clock.untilWaiting('stream-body.ts', 5_000);
  await clock.advance(3_000);
  expect((await client.readReply()).status).toBe(504);
});
