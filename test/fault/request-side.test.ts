import { describe, expect, test } from 'vitest';
import {
  apiConfig,
  type Breakwater,
  type BreakwaterOptions,
  startBreakwater,
} from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, ok, reset, type Step, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { refusingOrigin } from '../support/raw-origin.ts';
import { startTidy, stateOf, untilState } from '../support/tidy.ts';

const GET = 'GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n';

/** The retry policy between a real client and a real upstream, with a stopped clock. */
async function start(steps: readonly Step[], more = '', random: () => number = () => 0.5) {
  const clock = new FakeClock();
  return { clock, ...(await startOn({ clock, random }, steps, more)) };
}

/** The same without a wait between attempts. */
const startNow = (steps: readonly Step[], more = '') => startOn({}, steps, more);

async function startOn(options: BreakwaterOptions, steps: readonly Step[], more: string) {
  const origin = await startOrigin(...steps);
  const proxy = await startTidy(apiConfig(origin, more), options);
  const client = await connectRaw(proxy.port);
  await client.send(GET);
  return { origin, proxy, client };
}

/** Sends another call and returns its reply. */
async function callOf(proxy: Breakwater) {
  const client = await connectRaw(proxy.port);
  await client.send(GET);
  return client.readReply();
}

const RETRY =
  '    retry: { backoff: { kind: exponential, base: 100ms, overloaded_base: 1s, jitter: full } }\n';

describe('backoff', () => {
  test('waits, grows, and is reported', async () => {
    const { clock, origin, client, proxy } = await start([status(502), status(503), ok('third')], RETRY);
    await clock.untilAsleep();
    await clock.advance(49);
    expect(origin.requests.length).toBe(1);
    await clock.advance(1);
    await origin.untilRequests(2);
    await clock.untilAsleep();
    await clock.advance(999);
    expect(origin.requests.length).toBe(2);
    await clock.advance(1);
    const reply = await client.readReply();
    expect([reply.status, reply.body.toString(), rawHeader(reply, 'breakwater-attempts')]).toEqual([
      200,
      'third',
      '3',
    ]);
    expect(rawHeader(reply, 'breakwater-gave-up')).toBeUndefined();
    const [record] = await proxy.untilEnded(1);
    expect(record?.outcome).toBe('rescued');
    expect(
      record?.entries.map(({ n, atMs, waitMs, status: code, reason }) => [n, atMs, waitMs, code, reason]),
    ).toEqual([
      [1, 0, 0, 502, undefined],
      [2, 50, 50, 503, 'status_502'],
      [3, 1050, 1000, 200, 'status_503'],
    ]);
  });

  test('the reported attempts are those that the upstream received', async () => {
    const { clock, origin, client } = await start([reset()], RETRY);
    await clock.untilAsleep();
    await clock.advance(50);
    await origin.untilRequests(2);
    await clock.untilAsleep();
    await clock.advance(100);
    const reply = await client.readReply();
    expect(rawHeader(reply, 'breakwater-attempts')).toBe('3');
    expect(origin.requests.length).toBe(3);
  });

  test('a retry costs one token, and a success adds one', async () => {
    const { clock, client, proxy } = await start(
      [status(503), ok()],
      `${RETRY.replace(' } }', ' }, budget: { refill: 0/s } }')}`,
    );
    const tokens = async () => (await stateOf(proxy)).upstreams[0]?.scopes[0]?.budget_tokens;
    await clock.untilAsleep();
    expect(await tokens()).toBe(9);
    await clock.advance(500);
    await client.readReply();
    expect(await tokens()).toBe(10);
  });
});

describe('Retry-After', () => {
  test('is the minimum wait, plus a random spread, and such a retry costs half a token', async () => {
    const more = RETRY.replace(' } }', ' }, budget: { refill: 0/s } }');
    const { clock, origin, client, proxy } = await start([status(503, { 'retry-after': '5' }), ok()], more);
    await clock.untilAsleep();
    await clock.advance(5_249);
    expect(origin.requests.length).toBe(1);
    expect((await stateOf(proxy)).upstreams[0]?.scopes[0]?.budget_tokens).toBe(9.5);
    await clock.advance(1);
    expect((await client.readReply()).status).toBe(200);
  });

  test('shorter than the backoff changes only the spread', async () => {
    const { clock, origin, client } = await start([status(503, { 'retry-after-ms': '1' }), ok()], RETRY);
    await clock.untilAsleep();
    await clock.advance(524);
    expect(origin.requests.length).toBe(1);
    await clock.advance(1);
    expect((await client.readReply()).status).toBe(200);
  });

  test('longer than the maximum wait returns the reply with its header at once', async () => {
    const { origin, client } = await start([status(429, { 'Retry-After': '91' }, 'slow down')]);
    const reply = await client.readReply();
    expect([reply.status, reply.body.toString()]).toEqual([429, 'slow down']);
    expect(rawHeader(reply, 'retry-after')).toBe('91');
    expect(rawHeader(reply, 'breakwater-gave-up')).toBe('retry_after_too_long');
    expect(origin.requests.length).toBe(1);
  });

  test('beyond the deadline is not waited for', async () => {
    const { origin, client } = await start(
      [status(503, { 'retry-after': '20' }, 'later')],
      '    timeouts: { total: 20s }\n',
    );
    const reply = await client.readReply();
    expect(rawHeader(reply, 'breakwater-gave-up')).toBe('deadline');
    expect(reply.body.toString()).toBe('later');
    expect(origin.requests.length).toBe(1);
  });
});

describe('the client gets the last reply of the upstream', () => {
  test('when the attempts are used up', async () => {
    const { client, origin } = await startNow([
      status(503, {}, 'one'),
      status(502, {}, 'two'),
      status(504, { 'x-nth': '3' }, 'three'),
    ]);
    const reply = await client.readReply();
    expect([reply.status, reply.body.toString()]).toEqual([504, 'three']);
    expect(rawHeader(reply, 'x-nth')).toBe('3');
    expect(rawHeader(reply, 'breakwater-origin')).toBe('upstream');
    expect(rawHeader(reply, 'proxy-status')).toBe(
      'breakwater; received-status=504; details="attempts=3; gave_up=attempts"',
    );
    expect(origin.requests.length).toBe(3);
  });

  test('when the budget is used up', async () => {
    const { client, origin } = await startNow(
      [status(503, {}, 'no')],
      '    retry: { attempts: 5, budget: { cap: 2, refill: 0/s } }\n',
    );
    const reply = await client.readReply();
    expect([reply.status, reply.body.toString()]).toEqual([503, 'no']);
    expect(rawHeader(reply, 'breakwater-gave-up')).toBe('budget');
    expect(origin.requests.length).toBe(3);
  });

  test('a connection that was refused costs no budget', async () => {
    const more = '    retry: { budget: { cap: 0, refill: 0/s } }\n    breaker: off\n';
    const proxy = await startTidy(apiConfig(await refusingOrigin(), more));
    const reply = await callOf(proxy);
    expect(rawHeader(reply, 'breakwater-attempts')).toBe('3');
    expect(rawHeader(reply, 'proxy-status')).toContain('connection_refused');
  });

  test('when a retry would wait for a permit that is not granted', async () => {
    const more =
      '    concurrency: { mode: fixed, max: 1, queue: 0 }\n    retry: { backoff: { overloaded_base: 1s }, budget: { refill: 0/s } }\n    timeouts: { attempt: 100s, total: 200s }\n';
    const { clock, client, origin, proxy } = await start(
      [status(503, { 'x-one': '1' }, 'busy'), hang()],
      more,
      () => 0.999,
    );
    await clock.untilAsleep();
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.in_flight === 0);
    const other = await connectRaw(proxy.port);
    await other.send(GET);
    await origin.untilRequests(2);
    await clock.advance(1_000);
    const reply = await client.readReply();
    expect([reply.status, reply.body.toString(), rawHeader(reply, 'x-one')]).toEqual([503, 'busy', '1']);
    expect(rawHeader(reply, 'breakwater-gave-up')).toBe('concurrency');
    expect(rawHeader(reply, 'breakwater-attempts')).toBe('1');
    expect((await stateOf(proxy)).upstreams[0]?.scopes[0]?.budget_tokens).toBe(10);
    expect(origin.requests.length).toBe(2);
    other.abort();
  });

  const OPENING =
    '    breaker: { min_requests: 2, failure_rate: 50% }\n    retry: { backoff: { overloaded_base: 10s, jitter: none }, budget: { refill: 0/s } }\n';

  test('when the breaker opens, calls in backoff end with their complete reply', async () => {
    const bytes = Buffer.from(Uint8Array.from({ length: 60_000 }, (_, i) => i % 256));
    const { clock, client, proxy, origin } = await start(
      [status(503, { 'x-one': '1', 'content-encoding': 'x' }, bytes), status(500, {}, 'second')],
      OPENING,
    );
    await clock.untilAsleep();
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.in_flight === 0);
    // In blocks.
    expect((await stateOf(proxy)).buffered_body_bytes).toBe(65_536);
    const other = await callOf(proxy);
    expect([other.status, rawHeader(other, 'breakwater-gave-up')]).toEqual([500, 'breaker']);
    const reply = await client.readReply();
    expect(reply.status).toBe(503);
    expect(reply.body.equals(bytes)).toBe(true);
    expect(rawHeader(reply, 'x-one')).toBe('1');
    expect(rawHeader(reply, 'breakwater-gave-up')).toBe('breaker');
    expect(rawHeader(reply, 'breakwater-origin')).toBe('upstream');
    expect(origin.requests.length).toBe(2);
    expect((await stateOf(proxy)).upstreams[0]?.scopes[0]?.budget_tokens).toBe(10);
  });

  test('a reply too large to buffer is reported', async () => {
    const { clock, client, proxy } = await start([status(503, {}, 'x'.repeat(70_000)), status(500)], OPENING);
    await clock.untilAsleep();
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.in_flight === 0);
    expect((await stateOf(proxy)).buffered_body_bytes).toBe(0);
    await callOf(proxy);
    const reply = await client.readReply();
    expect([reply.status, JSON.parse(reply.body.toString()).code]).toEqual([503, 'breaker_open']);
  });

  test('a reply too large to buffer is reported as draining when the proxy shuts down', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(status(503, {}, 'x'.repeat(70_000)));
    const proxy = await startBreakwater(apiConfig(origin, OPENING), { clock });
    const client = await connectRaw(proxy.port);
    await client.send(GET);
    await clock.untilAsleep();
    const stopped = proxy.app.stop(1_000);
    const reply = await client.readReply();
    expect([reply.status, JSON.parse(reply.body.toString()).code]).toEqual([503, 'draining']);
    await clock.advance(5_000);
    await stopped;
  });

  test('a failure without a reply stays the result', async () => {
    const { clock, client, proxy } = await start(
      [reset(), status(500)],
      OPENING.replace('overloaded_base', 'base'),
    );
    await clock.untilAsleep();
    await callOf(proxy);
    const reply = await client.readReply();
    expect(reply.status).toBe(502);
    expect(rawHeader(reply, 'proxy-status')).toContain('error=connection_terminated');
    expect(rawHeader(reply, 'breakwater-gave-up')).toBe('breaker');
  });

  test('replies to HEAD are buffered too', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(status(503, { 'x-one': '1' }), status(500));
    const proxy = await startTidy(apiConfig(origin, OPENING), { clock });
    const client = await connectRaw(proxy.port);
    await client.send(GET.replace('GET', 'HEAD'));
    await clock.untilAsleep();
    await callOf(proxy);
    const reply = await client.readReply();
    expect([reply.status, rawHeader(reply, 'x-one'), rawHeader(reply, 'breakwater-gave-up')]).toEqual([
      503,
      '1',
      'breaker',
    ]);
  });
});

test('a call in backoff during a reload continues with its old upstream', async () => {
  const { clock, client, origin, proxy } = await start([status(503), ok('the old one')], RETRY);
  const other = await startOrigin(ok('the new one'));
  await clock.untilAsleep();
  proxy.rewrite(apiConfig(other, RETRY));
  await proxy.app.reload();
  expect((await callOf(proxy)).body.toString()).toBe('the new one');
  await clock.advance(500);
  const reply = await client.readReply();
  expect([reply.body.toString(), rawHeader(reply, 'breakwater-attempts')]).toEqual(['the old one', '2']);
  expect(origin.requests.length).toBe(2);
});

test('a body aborted by the shutdown is not reported as a disconnect of the client', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(
    ({ response }) => void response.writeHead(200, { 'content-length': 10 }).write('part'),
  );
  const proxy = await startBreakwater(apiConfig(origin), { clock });
  const client = await connectRaw(proxy.port);
  await client.send(GET);
  await client.untilText('part');
  const stopped = proxy.app.stop(1_000);
  await clock.advance(5_000);
  await stopped;
  await client.untilClosed();
  expect(proxy.ended[0]).toMatchObject({ error: 'draining', outcome: 'failed' });
});
