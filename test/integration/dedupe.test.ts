import { describe, expect, test } from 'vitest';
import { apiConfig, type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { Changes } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type OriginExchange, ok, reset, type Step, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { startTidy, stateOf, untilState } from '../support/tidy.ts';

const DEDUPE = '    retry: { idempotency_key: pass }\n    dedupe: 1h\n';
const BINARY = Buffer.from([0, 255, 128, 10, 13, 0]);

async function start(steps: readonly Step[], more = DEDUPE, clock?: FakeClock) {
  const origin = await startOrigin(...steps);
  const proxy = await startTidy(apiConfig(origin, more), clock && { clock });
  return { origin, proxy };
}

interface Sent {
  readonly key?: string;
  readonly body?: string | Buffer;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

const send = (
  proxy: Breakwater,
  { key = 'k-1', body = 'a=1', path = '', method = 'POST', ...rest }: Sent = {},
) =>
  fetch(`${proxy.url}/api/${path}`, {
    method,
    body,
    ...(rest.signal && { signal: rest.signal }),
    headers: { 'idempotency-key': key, ...rest.headers },
  });

const replayed = (reply: Response) => reply.headers.get('idempotent-replayed');

/** Answers each request when the test says so. */
function held() {
  const changes = new Changes();
  const exchanges: OriginExchange[] = [];
  const step: Step = async (exchange) => {
    await exchange.body();
    exchanges.push(exchange);
    changes.notify();
  };
  return { exchanges, step, until: (count: number) => changes.until(() => exchanges.length >= count) };
}

test('a repeat gets the reply again, byte for byte, and the upstream gets one request', async () => {
  const head = { 'Content-Encoding': 'x-own', 'X-Two': ['1', '2'], Date: 'Sun, 22 Nov 2026 18:00:00 GMT' };
  const { origin, proxy } = await start([status(201, head, BINARY), status(500)]);
  const request = 'POST /api/ HTTP/1.1\r\nhost: x\r\nidempotency-key: k\r\ncontent-length: 3\r\n\r\na=1';
  const client = await connectRaw(proxy.port);
  await client.send(request);
  const first = await client.readReply();
  await client.send(request);
  const second = await client.readReply();
  expect(second.body).toEqual(BINARY);
  expect([second.status, first.body.equals(second.body)]).toEqual([201, true]);
  const ours = (list: readonly string[]) => {
    const pairs = list.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${list[i + 1]}`] : []));
    return pairs.filter((pair) => !/^(breakwater-|idempotent-replayed)/i.test(pair));
  };
  expect(ours(second.rawHeaders)).toEqual(ours(first.rawHeaders));
  expect(rawHeader(second, 'idempotent-replayed')).toBe('true');
  expect([rawHeader(first, 'breakwater-dedupe'), rawHeader(second, 'breakwater-dedupe')]).toEqual([
    'first',
    'replayed',
  ]);
  expect(origin.requests.length).toBe(1);
});

test.each<[string, Sent]>([
  ['body', { body: 'a=2' }],
  ['target', { path: '?x' }],
  ['method', { method: 'PATCH' }],
])('the same key with another %s is refused with 422', async (_what, other) => {
  const { origin, proxy } = await start([ok('done')]);
  await send(proxy);
  const reply = await send(proxy, other);
  expect([reply.status, reply.headers.get('content-type')]).toEqual([422, 'application/problem+json']);
  expect(((await reply.json()) as { code: string }).code).toBe('idempotency_key_reused');
  expect(origin.requests.length).toBe(1);
});

test.each([
  ['authorization', 'Bearer b'],
  ['x-api-key', 'b'],
  ['stripe-account', 'acct_b'],
])('callers are identified by %s', async (name, value) => {
  const { origin, proxy } = await start([ok('of a'), ok('of b')]);
  expect(await (await send(proxy, { headers: { [name]: 'a' } })).text()).toBe('of a');
  const other = await send(proxy, { headers: { [name]: value } });
  expect([await other.text(), replayed(other)]).toEqual(['of b', null]);
  expect(await (await send(proxy, { headers: { [name]: 'a' } })).text()).toBe('of a');
  expect(origin.requests.length).toBe(2);
});

test('a repeat that comes while the first runs waits for its reply', async () => {
  const { exchanges, step, until } = held();
  const clock = new FakeClock();
  const { origin, proxy } = await start([step], DEDUPE, clock);
  const replies = [send(proxy), send(proxy), send(proxy)];
  await clock.untilAsleep();
  await origin.untilRequests(1);
  await until(1);
  exchanges[0]?.response.writeHead(201).end('one');
  for (const reply of await Promise.all(replies)) {
    expect([reply.status, await reply.text()]).toEqual([201, 'one']);
  }
  expect(origin.requests.length).toBe(1);
});

test('at its deadline it gets 409 with Retry-After', async () => {
  const { exchanges, step, until } = held();
  const clock = new FakeClock();
  const more = `${DEDUPE}    timeouts: { total: 30s, attempt: 29s }\n`;
  const { origin, proxy } = await start([step], more, clock);
  const first = send(proxy);
  await until(1);
  await clock.advance(5_000);
  exchanges[0]?.response.writeHead(200, { 'content-length': '4' }).write('on');
  expect((await first).status).toBe(200);
  const second = send(proxy);
  await clock.untilAsleep();
  await clock.advance(30_000);
  const reply = await second;
  expect([reply.status, reply.headers.get('retry-after')]).toEqual([409, '1']);
  expect(reply.headers.get('x-should-retry')).toBeNull();
  exchanges[0]?.response.end('ce');
  expect(await (await first).text()).toBe('once');
  expect(await (await send(proxy)).text()).toBe('once');
  expect(origin.requests.length).toBe(1);
});

describe('replies that are not final are not stored', () => {
  test.each([500, 501, 503, 429, 408, 409, 401, 403])('%i', async (code) => {
    const { proxy } = await start(
      [status(code), ok('later')],
      `${DEDUPE.replace('pass }', 'pass, attempts: 1 }')}`,
    );
    expect((await send(proxy)).status).toBe(code);
    const later = await send(proxy);
    expect([await later.text(), replayed(later)]).toEqual(['later', null]);
  });

  test('nor a temporary failure by an error rule', async () => {
    const more = `${DEDUPE.replace('pass }', 'pass, attempts: 1 }')}    errors: { rules: [{ name: busy, status: 400, text: busy, means: retry }] }\n`;
    const { proxy } = await start([status(400, {}, 'busy'), ok('later')], more);
    expect((await send(proxy)).status).toBe(400);
    expect(await (await send(proxy)).text()).toBe('later');
  });

  test('nor the reply of a fallback', async () => {
    const more = `${DEDUPE}    fallback: { reply: { status: 200, body: standing in } }\n`;
    const { proxy } = await start([status(501), status(503), status(503), status(503), ok('itself')], more);
    await send(proxy, { key: 'other' });
    expect(await (await send(proxy)).text()).toBe('standing in');
    expect(await (await send(proxy)).text()).toBe('itself');
  });

  test('nor a refusal of the proxy, nor a broken body', async () => {
    const cut: Step = async ({ response, request, body }) => {
      await body();
      response.writeHead(200, { 'content-length': '10' }).write('half');
      response.once('drain', () => undefined);
      setImmediate(() => request.socket.destroy());
    };
    const { origin, proxy } = await start(
      [reset(), cut, ok('whole')],
      `${DEDUPE.replace('pass }', 'pass, attempts: 1 }')}`,
    );
    expect((await send(proxy)).status).toBe(502);
    await expect(send(proxy).then((reply) => reply.text())).rejects.toThrow(/terminated|other side/);
    expect(await (await send(proxy)).text()).toBe('whole');
    expect(origin.requests.length).toBe(3);
  });

  test('nor a reply over the cap, which its client gets whole', async () => {
    const more = '    retry: { idempotency_key: pass }\n    dedupe: { window: 1h, max_reply: 10B }\n';
    const { origin, proxy } = await start([ok('x'.repeat(11)), ok('x'.repeat(10))], more);
    for (const length of [11, 10, 10]) expect((await (await send(proxy)).text()).length).toBe(length);
    expect(origin.requests.length).toBe(2);
  });

  test('a failure of the first lets the next one be sent', async () => {
    const { exchanges, step, until } = held();
    const clock = new FakeClock();
    const more = DEDUPE.replace('pass }', 'pass, attempts: 1 }');
    const { proxy } = await start([step], more, clock);
    const replies = [send(proxy), send(proxy)];
    await clock.untilAsleep();
    await until(1);
    exchanges[0]?.response.writeHead(503).end();
    await until(2);
    exchanges[1]?.response.writeHead(201).end();
    expect((await Promise.all(replies)).map((reply) => reply.status).toSorted((a, b) => a - b)).toEqual([
      201, 503,
    ]);
  });
});

describe('a client that leaves', () => {
  test.each(['before the head', 'in the body'])('%s finds the reply when it comes back', async (when) => {
    const { exchanges, step, until } = held();
    const { origin, proxy } = await start([step]);
    const leave = new AbortController();
    const gone = send(proxy, { signal: leave.signal });
    await until(1);
    const response = exchanges[0]?.response;
    const head = () => response?.writeHead(201, { 'content-length': '4' });
    if (when === 'in the body') {
      head()?.write('on');
      await gone;
    }
    leave.abort();
    await gone.then((reply) => reply.text()).catch(() => undefined);
    await proxy.untilEnded(1);
    if (when === 'in the body') response?.end('ce');
    else head()?.end('once');
    const back = await send(proxy);
    expect([back.status, await back.text(), replayed(back)]).toEqual([201, 'once', 'true']);
    expect(origin.requests.length).toBe(1);
    expect(proxy.ended[0]?.outcome).toBe('client_gone');
  });

  test('and had held the upstream back does so no longer', async () => {
    const body = Buffer.alloc(12 * 1024 * 1024, 'x');
    const more = '    retry: { idempotency_key: pass }\n    dedupe: { window: 1h, max_reply: 16MiB }\n';
    const { origin, proxy } = await start([ok(body)], more);
    const leave = new AbortController();
    const gone = await send(proxy, { signal: leave.signal });
    expect([gone.status, origin.requests[0]?.closed]).toEqual([200, false]);
    leave.abort();
    const back = await send(proxy);
    expect([Buffer.from(await back.arrayBuffer()).equals(body), replayed(back)]).toEqual([true, 'true']);
    expect(origin.requests.length).toBe(1);
  });

  test('while its call is in backoff leaves a call that goes on, with its body', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(status(503), status(201));
    const more =
      '    retry: { idempotency_key: pass, backoff: { overloaded_base: 5s, jitter: none } }\n    dedupe: 1h\n';
    const proxy = await startTidy(apiConfig(origin, more), { clock });
    const leave = new AbortController();
    const gone = send(proxy, { signal: leave.signal });
    await clock.untilAsleep();
    leave.abort();
    await gone.catch(() => undefined);
    await proxy.untilEnded(1);
    await clock.advance(5_000);
    await origin.untilRequests(2);
    const back = await send(proxy);
    expect([back.status, replayed(back)]).toEqual([201, 'true']);
    expect(origin.requests[1]?.body.toString()).toBe('a=1');
    expect(origin.requests.length).toBe(2);
  });

  test.each([
    ['', DEDUPE],
    [', also when a reload has changed its options', DEDUPE.replace('1h', '2h')],
  ])('has its call ended by a shutdown%s', async (_, later) => {
    const { until, step } = held();
    const origin = await startOrigin(step);
    const proxy = await startBreakwater(apiConfig(origin, DEDUPE));
    const leave = new AbortController();
    const gone = send(proxy, { signal: leave.signal });
    await until(1);
    leave.abort();
    await gone.catch(() => undefined);
    await proxy.untilEnded(1);
    expect(origin.requests[0]?.closed).toBe(false);
    proxy.rewrite(apiConfig(origin, later));
    await proxy.app.reload();
    await proxy.app.stop(0);
    await origin.until(({ requests }) => requests[0]?.closed === true);
    expect(proxy.logs.filter(({ level }) => level === 'error')).toEqual([]);
  });

  test('of a reply that will not be stored ends its call', async () => {
    const { exchanges, step, until } = held();
    const more = '    retry: { idempotency_key: pass }\n    dedupe: { window: 1h, max_reply: 1B }\n';
    const { origin, proxy } = await start([step], more);
    const leave = new AbortController();
    const gone = send(proxy, { signal: leave.signal });
    await until(1);
    exchanges[0]?.response.writeHead(200).write('more than that');
    await (await gone).body?.getReader().read();
    leave.abort();
    await origin.until(({ requests }) => requests[0]?.closed === true);
    expect((await proxy.untilEnded(1))[0]?.outcome).toBe('client_gone');
  });
});

test('a request too large to compare is sent each time, and says so', async () => {
  const { origin, proxy } = await start([ok()], `${DEDUPE}    request: { max_replay: 1KiB }\n`);
  for (const requests of [1, 2]) {
    const reply = await send(proxy, { body: 'x'.repeat(1_025) });
    expect(reply.headers.get('breakwater-dedupe')).toBe('body_not_buffered');
    expect(origin.requests.length).toBe(requests);
  }
  expect((await proxy.untilEnded(2))[0]).toMatchObject({
    notes: { dedupe: 'body_not_buffered', body_not_buffered: 'cap' },
  });
});

test('a body of unknown length is passed on as soon as it is too large', async () => {
  const { origin, proxy } = await start([ok()], `${DEDUPE}    request: { max_replay: 1KiB }\n`);
  const client = await connectRaw(proxy.port);
  const head = 'POST /api/ HTTP/1.1\r\nhost: x\r\nidempotency-key: k\r\ntransfer-encoding: chunked\r\n\r\n';
  await client.send(`${head}1\r\nx\r\n`);
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 1);
  await client.send(`800\r\n${'x'.repeat(2_048)}\r\n`);
  await origin.until(({ requests }) => requests[0]?.body.length === 2_049);
  await client.send('0\r\n\r\n');
  const reply = await client.readReply();
  expect([reply.status, rawHeader(reply, 'breakwater-dedupe')]).toEqual([200, 'body_not_buffered']);
});

test('a client that leaves in its own body has sent nothing', async () => {
  const { origin, proxy } = await start([ok()]);
  const client = await connectRaw(proxy.port);
  await client.send(
    'POST /api/ HTTP/1.1\r\nhost: x\r\nidempotency-key: k\r\ncontent-length: 200000\r\n\r\nhalf',
  );
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 1);
  client.abort();
  const [record] = await proxy.untilEnded(1);
  expect([record?.outcome, record?.notes.dedupe]).toEqual(['client_gone', undefined]);
  expect(origin.requests.length).toBe(0);
});

test('trailers are stored too; the upstream’s own replay mark is replaced', async () => {
  const trailing: Step = async ({ response, body }) => {
    await body();
    response.writeHead(200, { trailer: 'x-sum', 'idempotent-replayed': 'false' });
    response.write('a');
    response.addTrailers({ 'x-sum': '7' });
    response.end();
  };
  const { proxy } = await start([trailing]);
  const request =
    'POST /api/ HTTP/1.1\r\nhost: x\r\nidempotency-key: k\r\nte: trailers\r\nconnection: te\r\ncontent-length: 1\r\n\r\na';
  const client = await connectRaw(proxy.port);
  for (const expected of ['false', 'true']) {
    await client.send(request);
    const reply = await client.readReply();
    expect(client.received.toString()).toMatch(/x-sum: 7\r\n\r\n$/);
    expect(reply.rawHeaders.filter((text) => text.toLowerCase() === 'idempotent-replayed').length).toBe(1);
    expect(rawHeader(reply, 'idempotent-replayed')).toBe(expected);
  }
});

test('a large buffered body is compared whole', async () => {
  const { origin, proxy } = await start([ok('one')]);
  const body = Buffer.alloc(900_000, 'x');
  expect(await (await send(proxy, { body })).text()).toBe('one');
  expect(replayed(await send(proxy, { body }))).toBe('true');
  body[899_999] = 0;
  expect((await send(proxy, { body })).status).toBe(422);
  expect(origin.requests.map((request) => request.body.length)).toEqual([900_000]);
});

test('keys that are made here, GETs, gRPC and calls without a key are none of this', async () => {
  const { origin, proxy } = await start([ok()], DEDUPE.replace('pass', 'inject'));
  for (let i = 0; i < 2; i++) {
    await fetch(`${proxy.url}/api/`, { method: 'POST', body: 'a' });
    await fetch(`${proxy.url}/api/`, { headers: { 'idempotency-key': 'k' } });
  }
  for (let i = 0; i < 2; i++) await send(proxy, { headers: { 'content-type': 'application/grpc' } });
  expect(origin.requests.length).toBe(6);
  expect((await proxy.untilEnded(6)).filter(({ notes }) => notes.dedupe !== undefined)).toEqual([]);
});

test('after the window the request is sent again', async () => {
  const clock = new FakeClock();
  const { origin, proxy } = await start([ok('first'), ok('second')], DEDUPE, clock);
  expect(await (await send(proxy)).text()).toBe('first');
  await clock.advance(3_600_000 - 1);
  expect(await (await send(proxy)).text()).toBe('first');
  await clock.advance(2);
  expect(await (await send(proxy)).text()).toBe('second');
  expect(origin.requests.length).toBe(2);
});

test('replies give way to newer ones when their memory is used up', async () => {
  const more = '    retry: { idempotency_key: pass }\n    dedupe: { window: 1h, memory: 4KiB }\n';
  const { origin, proxy } = await start([ok('x'.repeat(1_000))], more);
  for (const key of ['a', 'b', 'c', 'd']) await (await send(proxy, { key })).text();
  const stored = (await stateOf(proxy)).upstreams[0]?.scopes[0]?.dedupe_bytes;
  expect(stored).toBeGreaterThan(1_000);
  expect(stored).toBeLessThanOrEqual(4_096);
  expect(replayed(await send(proxy, { key: 'd' }))).toBe('true');
  expect(replayed(await send(proxy, { key: 'a' }))).toBeNull();
  expect(origin.requests.length).toBe(5);
});

test('stored replies survive a reload', async () => {
  const { origin, proxy } = await start([ok('first')]);
  await (await send(proxy)).text();
  proxy.rewrite(`${apiConfig(origin, DEDUPE)}    timeouts: { total: 20s }\n`);
  expect((await proxy.app.reload()).ok).toBe(true);
  expect(replayed(await send(proxy))).toBe('true');
});

test('it is counted and logged, and there is a warning if it has no effect', async () => {
  const { proxy } = await start([ok()]);
  await (await send(proxy)).text();
  await (await send(proxy)).text();
  await send(proxy, { body: 'b' });
  await proxy.untilEnded(3);
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  for (const result of ['first', 'replayed', 'other_payload'])
    expect(metrics).toContain(
      `breakwater_dedupe_requests_total{upstream="api",route="default",result="${result}"} 1`,
    );
  expect(metrics).toContain(
    'breakwater_rejected_total{upstream="api",route="default",reason="idempotency_key_reused"} 1',
  );
  const line = proxy.logs.find(({ fields }) => fields['dedupe'] === 'other_payload');
  expect(line?.fields).toMatchObject({ status: 422, error: 'idempotency_key_reused' });
});
