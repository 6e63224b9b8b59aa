import { constants, createGzip } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type Breakwater, apiConfig, NO_WAIT, startBreakwater } from '../support/breakwater.ts';
import { DurableClient, durableConfig } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startHttp2Origin } from '../support/http2-origin.ts';
import { type Origin, ok, startOrigin, type Step } from '../support/origin.ts';
import { stateOf, untilState } from '../support/tidy.ts';

const SSE = { 'Content-Type': 'text/event-stream' };
const FIRST = 'data: 1\n\n';
const GOOD = `${FIRST}event: end\ndata: {}\n\n`;
const ERROR = 'event: error\ndata: {"wait":7}\n\n';

const stream = (rule = 'status: 503', more = 'first_event: 5s, event_gap: 8s') =>
  `    stream: { ${more}, error: [{ event: error, ${rule} }], done: [{ event: end }] }\n`;

const good = ok(GOOD, SSE);
const failing = ok(ERROR, SSE);

const open =
  (text = ''): Step =>
  ({ response }) => {
    response.writeHead(200, SSE);
    response.flushHeaders();
    if (text !== '') response.write(text);
  };

const scopeOf = async (proxy: Breakwater) => (await stateOf(proxy)).upstreams[0]?.scopes[0];

describe('the breaker', () => {
  const BREAKER = '    breaker: { min_requests: 5 }\n    retry: off\n';

  test('opens if every stream begins with an error', async () => {
    const origin = await startOrigin(failing);
    const proxy = await startBreakwater(apiConfig(origin, stream() + BREAKER));
    for (let i = 0; i < 5; i++) await (await fetch(`${proxy.url}/api/`)).text();
    expect(proxy.states).toMatchObject([{ type: 'breaker_changed', to: 'open', cause: 'failure_rate' }]);
    expect((await fetch(`${proxy.url}/api/`)).status).toBe(503);
    expect(origin.requests).toHaveLength(5);
  });

  test('opens if every stream fails after its first event', async () => {
    const origin = await startOrigin(ok(FIRST + ERROR, SSE));
    const proxy = await startBreakwater(apiConfig(origin, stream() + BREAKER));
    for (let i = 0; i < 5; i++) await (await fetch(`${proxy.url}/api/`)).text();
    await proxy.untilEnded(5);
    expect(proxy.states[0]).toMatchObject({ type: 'breaker_changed', to: 'open', cause: 'failure_rate' });
  });

  test('stays closed if streams end without the event that ends a stream', async () => {
    const origin = await startOrigin(ok(FIRST, SSE));
    const proxy = await startBreakwater(apiConfig(origin, stream() + BREAKER));
    for (let i = 0; i < 10; i++) await (await fetch(`${proxy.url}/api/`)).text();
    await proxy.untilEnded(10);
    expect(proxy.states).toEqual([]);
  });

  test('opens if every stream is silent', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(open());
    const proxy = await startBreakwater(apiConfig(origin, stream() + BREAKER), { clock });
    const calls = Array.from({ length: 5 }, () => fetch(`${proxy.url}/api/`));
    await origin.untilRequests(5);
    for (let waiting = 0; waiting < 5; ) {
      waiting = clock.deadlines.filter((at) => at === 5_000).length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await clock.advance(5_000);
    for (const reply of await Promise.all(calls)) expect(reply.status).toBe(504);
    expect(proxy.states.at(-1)).toMatchObject({ type: 'breaker_changed', to: 'open' });
  });
});

test('a permit is held until the stream has ended', async () => {
  const origin = await startOrigin(open(FIRST));
  const proxy = await startBreakwater(apiConfig(origin, `${stream()}    concurrency: 1\n    breaker: off\n`));
  const leave = new AbortController();
  await fetch(`${proxy.url}/api/`, { signal: leave.signal });
  expect((await scopeOf(proxy))?.concurrency?.in_flight).toBe(1);
  leave.abort();
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.in_flight === 0);
});

test('an error event that is a rate limit waits as its rule says, and does not count against the upstream', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(failing, good);
  const rule = 'status: 429, throttled: true, means: not_processed, wait: /wait';
  const proxy = await startBreakwater(apiConfig(origin, stream(rule)), { clock });
  const replying = fetch(`${proxy.url}/api/`, { method: 'POST' });
  await origin.untilRequests(1);
  await clock.untilAsleep();
  const [longest = 0] = [...clock.deadlines].filter((at) => at < 10_000).sort((a, b) => b - a);
  expect(longest).toBeGreaterThanOrEqual(7_000);
  await clock.advance(longest);
  const reply = await replying;
  expect(await reply.text()).toBe(GOOD);
  expect(reply.headers.get('breakwater-attempts')).toBe('2');
});

test('a hedge of a silent stream answers, and the first attempt is ended', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(open(), good);
  const hedge = '    hedge: { after: 300ms, max_extra: 100% }\n';
  const proxy = await startBreakwater(apiConfig(origin, stream() + hedge), { clock });
  const replying = fetch(`${proxy.url}/api/`);
  await origin.untilRequests(1);
  await clock.untilWaiting('stream-body.ts', 5_000);
  await clock.advance(300);
  const reply = await replying;
  expect(await reply.text()).toBe(GOOD);
  expect(reply.headers.get('breakwater-attempts')).toBe('2');
  await origin.until(({ requests }) => requests[0]?.closed === true);
  const [record] = await proxy.untilEnded(1);
  expect(record?.entries[0]).toMatchObject({ error: 'hedge_lost' });
  expect(record?.notes).toMatchObject({ hedge: 'won', stream: 'complete' });
});

test('each flushed event of a compressed stream is an event at once', async () => {
  let more: (() => void) | undefined;
  const packed: Step = ({ response }) => {
    response.writeHead(200, { ...SSE, 'Content-Encoding': 'gzip' });
    const gzip = createGzip();
    gzip.pipe(response);
    gzip.write(FIRST, () => gzip.flush(constants.Z_SYNC_FLUSH));
    more = () => void gzip.end('event: end\ndata: {}\n\n');
  };
  const origin = await startOrigin(packed);
  const proxy = await startBreakwater(apiConfig(origin, stream()));
  // The head comes with the first event, although the stream has not ended.
  const reply = await fetch(`${proxy.url}/api/`);
  more?.();
  expect(await reply.text()).toBe(GOOD);
  const [record] = await proxy.untilEnded(1);
  expect(record?.notes).toMatchObject({ stream: 'complete', events: 2 });
});

test('a silent stream over HTTP/2 is reset, and its connection serves the next attempt', async () => {
  const clock = new FakeClock();
  const origin = await startHttp2Origin(
    [
      ({ stream: silent }) => silent.respond({ ':status': 200, 'content-type': 'text/event-stream' }),
      ({ stream: answered }) => {
        answered.respond({ ':status': 200, 'content-type': 'text/event-stream' });
        answered.end(GOOD);
      },
    ],
    { plain: true },
  );
  const yaml = `${NO_WAIT}upstreams:\n  api:\n    url: ${origin.url}\n    allow_private: true\n    connection: { http2: require }\n${stream()}`;
  const proxy = await startBreakwater(yaml, { clock });
  const replying = fetch(`${proxy.url}/api/`);
  await clock.untilWaiting('stream-body.ts', 5_000);
  await clock.advance(5_000);
  const reply = await replying;
  expect(await reply.text()).toBe(GOOD);
  expect(reply.headers.get('breakwater-attempts')).toBe('2');
  await origin.until(({ requests }) => requests[0]?.reset !== undefined);
});

describe('a durable request', () => {
  async function run(origin: Origin, more = stream()) {
    const proxy = await startBreakwater(durableConfig(origin, { more }));
    const client = new DurableClient(proxy);
    const monitor = await client.done(await client.accepted());
    const response = await fetch(`${proxy.url}/_breakwater/requests/${monitor.id}/response`);
    return { monitor, body: await response.text() };
  }

  test.each([
    ['begins with an error', failing],
    ['fails after its first event', ok(FIRST + ERROR, SSE)],
    ['is empty', ok('', SSE)],
  ])('is sent again if its stream %s', async (_, bad) => {
    const { monitor, body } = await run(await startOrigin(bad, good));
    expect(monitor).toMatchObject({ status: 'succeeded', attempts: { made: 2 } });
    expect(body).toBe(GOOD);
  });
});
