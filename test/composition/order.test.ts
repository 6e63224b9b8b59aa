import { expect, test } from 'vitest';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, ok, type OriginExchange, startOrigin, status, type Step } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
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

/** Answers each request when the test says so. */
function held() {
  const exchanges: OriginExchange[] = [];
  const step: Step = (exchange) => void exchanges.push(exchange);
  return { exchanges, step };
}

test('deadline outside retry: attempts and waits together end in time, and no wait is begun that would not', async () => {
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
    '    concurrency: { mode: fixed, initial: 1, queue: 0 }\n    retry: { backoff: { overloaded_base: 5s, jitter: none } }\n';
  const { clock, proxy } = await start([status(503), ok('other'), ok('retried')], more);
  const client = await send(proxy);
  await clock.untilAsleep();
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.in_flight === 0);
  expect((await (await send(proxy)).readReply()).body.toString()).toBe('other');
  await clock.advance(5_000);
  expect((await client.readReply()).body.toString()).toBe('retried');
});

test('circuit breaker outside concurrency: what it refuses does not queue for a permit first', async () => {
  const more =
    '    concurrency: { mode: fixed, initial: 1, queue: 5, wait: 60s }\n    timeouts: { total: 1000s, attempt: 900s }\n';
  const { exchanges, step } = held();
  const { origin, proxy } = await start([step], more);
  const first = await send(proxy);
  await origin.untilRequests(1);
  await fetch(`${proxy.adminUrl}/api/upstreams/api/breaker`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"force":"open"}',
  });
  const refused = await (await send(proxy)).readReply();
  expect([refused.status, JSON.parse(refused.body.toString()).code]).toEqual([503, 'breaker_open']);
  expect((await proxy.untilEnded(1))[0]).toMatchObject({ queuedMs: 0, attempts: 0, outcome: 'rejected' });
  exchanges[0]?.response.end('done');
  expect((await first.readReply()).status).toBe(200);
  expect(origin.requests.length).toBe(1);
});

test('circuit breaker outside concurrency: our own refusal of a permit is not the upstream’s failure', async () => {
  const more =
    '    concurrency: { mode: fixed, initial: 1, queue: 0 }\n    breaker: { min_requests: 1, failure_rate: 1%, consecutive_failures: 1 }\n';
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

test('concurrency outside attempt timeout: the wait for a permit is not charged to the attempt', async () => {
  const more =
    '    concurrency: { mode: fixed, initial: 1, queue: 5, wait: 60s }\n    timeouts: { attempt: 1s, total: 1000s }\n';
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
  expect((await proxy.untilEnded(2))[1]?.queuedMs).toBe(900);
});

test('attempt timeout around the upstream: the request is really cancelled, and the next one answers', async () => {
  const more =
    '    timeouts: { attempt: 1s }\n    concurrency: { initial: 10 }\n    retry: { backoff: { base: 1s, jitter: none } }\n';
  const { clock, origin, proxy } = await start([hang(), ok('second')], more);
  const client = await send(proxy);
  await origin.untilRequests(1);
  await clock.advance(999);
  expect(origin.openConnections).toBe(1);
  await clock.advance(1);
  await origin.until(({ openConnections }) => openConnections === 0);
  // Running out of time is the evidence that lowers the limit.
  expect((await scopeOf(proxy))?.concurrency).toMatchObject({ limit: 9, in_flight: 0 });
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
