import { describe, expect, test } from 'vitest';
import { apiConfig, type Breakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, reset, type Step, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { startTidy, stateOf, untilState } from '../support/tidy.ts';

const NO_RETRY = '    retry: off\n';
const MINUTE = 60_000;

async function start(cache: string, ...steps: readonly Step[]) {
  const clock = new FakeClock();
  const origin = await startOrigin(...steps);
  const proxy = await startTidy(apiConfig(origin, `${NO_RETRY}    cache: ${cache}\n`), { clock });
  return { clock, origin, proxy };
}

async function get(proxy: Breakwater, init: RequestInit & { path?: string } = {}) {
  const { path = 'fx', ...rest } = init;
  const reply = await fetch(`${proxy.url}/api/${path}`, rest);
  const { status: code, headers } = reply;
  return {
    status: code,
    body: await reply.text(),
    origin: headers.get('breakwater-origin'),
    cache: headers.get('cache-status'),
    age: headers.get('age'),
    headers,
  };
}

const maxAge = (seconds: number, more = '') => ({ 'cache-control': `max-age=${seconds}${more}` });

describe('cached replies', () => {
  test('a reply ages while the process is stopped', async () => {
    const { clock, proxy } = await start('on', status(200, maxAge(60), 'old'), ok('new'));
    await get(proxy);
    clock.stoppedMs = 59_000;
    expect(await get(proxy)).toMatchObject({ body: 'old', age: '59', cache: 'breakwater; hit; ttl=1' });
    clock.stoppedMs = 60_000;
    expect(await get(proxy)).toMatchObject({ body: 'new', origin: 'upstream' });
  });

  test('a reply is given again for as long as it says, with its age, byte for byte', async () => {
    const binary = Buffer.from([0, 255, 128, 10]);
    const head = { ...maxAge(60), 'content-encoding': 'x-own', 'x-two': ['1', '2'] };
    const { clock, origin, proxy } = await start('on', status(200, head, binary), ok('new'));
    const own = { headers: { 'accept-encoding': 'x-own' } };
    const first = await fetch(`${proxy.url}/api/fx`, own);
    expect(first.headers.get('breakwater-origin')).toBe('upstream');
    expect(first.headers.get('cache-status')).toBe('breakwater; fwd=uri-miss; stored');
    expect(Buffer.from(await first.arrayBuffer())).toEqual(binary);

    await clock.advance(59_000);
    const again = await fetch(`${proxy.url}/api/fx`, own);
    expect(Buffer.from(await again.arrayBuffer())).toEqual(binary);
    expect(Object.fromEntries(again.headers)).toMatchObject({
      'breakwater-origin': 'cache',
      'breakwater-attempts': '0',
      'cache-status': 'breakwater; hit; ttl=1',
      age: '59',
      'content-encoding': 'x-own',
      'x-two': '1, 2',
    });
    expect(origin.requests.length).toBe(1);

    await clock.advance(1_000);
    expect(await get(proxy)).toMatchObject({ body: 'new', origin: 'upstream' });
  });

  test.each([
    ['says nothing of freshness', 'on', {}],
    ['no-store', '1m', { 'cache-control': 'no-store' }],
    ['no-cache without a validator', '1m', { 'cache-control': 'no-cache' }],
    ['max-age=0', '1m', maxAge(0)],
    ['Set-Cookie', '1m', { ...maxAge(60), 'set-cookie': 'a=1' }],
    ['Vary: *', '1m', { vary: '*' }],
    ['too large by its length', '{ ttl: 1m, max_reply: 3B }', {}],
  ])('not one that is %s (cache: %s)', async (_, cache, headers) => {
    const { origin, proxy } = await start(cache, ok('body', headers), ok('body', headers));
    await get(proxy);
    expect(await get(proxy)).toMatchObject({ origin: 'upstream', status: 200 });
    expect(origin.requests.length).toBe(2);
  });

  test('no reply that is too large, is an error or breaks off', async () => {
    const chunked: Step = ({ response }) => {
      response.writeHead(200, maxAge(60));
      response.write('ab');
      response.end('cd');
    };
    const broken: Step = ({ response }) => {
      response.writeHead(200, { ...maxAge(60), 'content-length': 10 });
      response.write('part', () => response.destroy());
    };
    const { origin, proxy } = await start(
      '{ ttl: 1m, max_reply: 3B }',
      chunked,
      status(500),
      broken,
      ok('ok'),
    );
    expect((await get(proxy)).body).toBe('abcd');
    expect((await get(proxy)).status).toBe(500);
    await expect(get(proxy)).rejects.toThrow('terminated');
    expect((await get(proxy)).body).toBe('ok');
    expect(origin.requests.length).toBe(4);
    expect((await stateOf(proxy)).upstreams[0]?.scopes[0]).toMatchObject({ cache_bytes: expect.any(Number) });
  });

  test('with ttl, a reply without freshness; with override, also one that forbids caching', async () => {
    const { clock, origin, proxy } = await start('5s', ok('a'), ok('b'));
    await get(proxy);
    await clock.advance(4_999);
    expect((await get(proxy)).body).toBe('a');
    await clock.advance(1);
    expect((await get(proxy)).body).toBe('b');
    expect(origin.requests.length).toBe(2);

    const other = await start(
      '{ ttl: 5s, override: true }',
      ok('a', { 'cache-control': 'private, no-store' }),
    );
    await get(other.proxy);
    expect(await get(other.proxy)).toMatchObject({ body: 'a', origin: 'cache' });
  });

  test('separately for each caller and the fields of Vary; the target is not normalised', async () => {
    const steps = ['1', '2', '3', '4', '5'].map((body) => ok(body, { vary: 'Accept-Language' }));
    const { proxy } = await start('1m', ...steps);
    const ask = async (authorization: string, language: string, path = 'fx') =>
      (await get(proxy, { path, headers: { authorization, 'accept-language': language } })).body;
    expect(await ask('a', 'de')).toBe('1');
    expect(await ask('b', 'de')).toBe('2');
    expect(await ask('a', 'en')).toBe('3');
    expect(await ask('a', 'de', 'fx?')).toBe('4');
    expect([await ask('a', 'de'), await ask('b', 'de'), await ask('a', 'en')]).toEqual(['1', '2', '3']);
    expect(await ask('b', 'en')).toBe('5');
  });

  test('is bounded in bytes: the least recently used reply is evicted', async () => {
    const big = 'x'.repeat(4_000);
    const { origin, proxy } = await start(
      '{ ttl: 1m, memory: 12KiB }',
      ...['1', '2', '3'].map((n) => ok(n + big)),
      ok('1 again'),
    );
    for (const path of ['1', '2', '3']) await get(proxy, { path });
    expect((await get(proxy, { path: '3' })).origin).toBe('cache');
    expect((await get(proxy, { path: '1' })).body).toBe('1 again');
    expect(origin.requests.length).toBe(4);
  });
});

describe('a call', () => {
  test('that changes something invalidates cached replies of its target, unless it fails', async () => {
    const { proxy } = await start('1m', ok('old'), status(500), status(204), ok('new'));
    await get(proxy);
    await get(proxy, { method: 'POST' });
    expect((await get(proxy)).body).toBe('old');
    await get(proxy, { method: 'DELETE' });
    expect((await get(proxy)).body).toBe('new');
  });

  test('of HEAD is answered from a cached GET, otherwise by the upstream', async () => {
    const { origin, proxy } = await start(
      '1m',
      status(200, { 'x-a': '1' }),
      ok('body', { 'content-length': '4' }),
    );
    expect((await get(proxy, { method: 'HEAD' })).origin).toBe('upstream');
    await get(proxy);
    const head = await get(proxy, { method: 'HEAD' });
    expect(head).toMatchObject({ origin: 'cache', body: '' });
    expect(head.headers.get('content-length')).toBe('4');
    expect(origin.requests.map(({ method }) => method)).toEqual(['HEAD', 'GET']);
  });

  test.each([
    ['a part of it', { range: 'bytes=0-1' }],
    ['nothing cached', { 'cache-control': 'no-store' }],
    ['a fresh one', { 'cache-control': 'no-cache' }],
    ['a younger one', { 'cache-control': 'max-age=5' }],
  ])('that wants %s goes to the upstream', async (_, headers) => {
    const { clock, proxy } = await start('1m', ok('old'), ok('new'));
    await get(proxy);
    await clock.advance(10_000);
    expect((await get(proxy, { headers })).body).toBe('new');
  });

  test('with only-if-cached gets 504 without a cached reply', async () => {
    const { origin, proxy } = await start('1m', ok('x'));
    const only = { headers: { 'cache-control': 'only-if-cached' } };
    expect(await get(proxy, only)).toMatchObject({ status: 504, origin: 'proxy' });
    expect((await proxy.untilEnded(1))[0]?.outcome).toBe('rejected');
    expect(origin.requests.length).toBe(0);
    await get(proxy);
    expect(await get(proxy, only)).toMatchObject({ status: 200, origin: 'cache' });
  });

  test('whose client has the same already gets 304', async () => {
    const head = { etag: '"v1"', 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT' };
    const { origin, proxy } = await start('1m', ok('body', head));
    await get(proxy);
    // fetch() would ask for a fresh one by itself where there is a condition.
    const client = await connectRaw(proxy.port);
    const ask = async (...lines: string[]) => {
      await client.send(`GET /api/fx HTTP/1.1\r\nhost: x\r\n${lines.join('\r\n')}\r\n\r\n`);
      return client.readReply();
    };
    const SAME = 'if-modified-since: Thu, 01 Jan 2026 00:00:00 GMT';
    const same = await ask('if-none-match: W/"v0", W/"v1"');
    expect([same.status, same.body.length, rawHeader(same, 'etag')]).toEqual([304, 0, '"v1"']);
    expect((await ask('if-none-match: "v2"')).status).toBe(200);
    expect((await ask(SAME)).status).toBe(304);
    expect((await ask('if-modified-since: Wed, 31 Dec 2025 23:59:59 GMT')).status).toBe(200);
    expect((await ask('if-none-match: "v2"', SAME)).status).toBe(200);
    expect(origin.requests.length).toBe(1);
  });
});

describe('a reply that is no longer fresh', () => {
  test('is confirmed by a 304, which renews its fields and its time', async () => {
    const { clock, origin, proxy } = await start(
      'on',
      ok('body', { ...maxAge(10), etag: '"v1"', 'x-left': '9' }),
      status(304, { ...maxAge(20), etag: '"v1"', 'x-left': '8', 'content-length': '4' }),
      ok('changed'),
    );
    await get(proxy);
    await clock.advance(10_000);
    const second = await get(proxy);
    expect(second).toMatchObject({
      status: 200,
      body: 'body',
      origin: 'cache',
      cache: 'breakwater; hit; fwd=stale; fwd-status=304; ttl=20',
    });
    expect(second.headers.get('x-left')).toBe('8');
    expect(origin.requests[1]?.headers['if-none-match']).toBe('"v1"');
    await clock.advance(19_000);
    expect((await get(proxy)).origin).toBe('cache');
    await clock.advance(1_000);
    expect((await get(proxy)).body).toBe('changed');
  });

  test('a client with a copy of its own asks for itself', async () => {
    const { clock, origin, proxy } = await start(
      'on',
      ok('body', { ...maxAge(1), etag: '"v1"' }),
      status(304),
    );
    await get(proxy);
    await clock.advance(MINUTE);
    expect((await get(proxy, { headers: { 'if-none-match': '"mine"' } })).status).toBe(304);
    expect(origin.requests[1]?.headers['if-none-match']).toBe('"mine"');
  });

  test('is given while another is fetched, once for all', async () => {
    const { clock, origin, proxy } = await start(
      '{ ttl: 10s, stale_while_revalidate: 1m }',
      ok('old'),
      ok('new'),
    );
    await get(proxy);
    await clock.advance(10_000);
    const stale = await Promise.all([get(proxy), get(proxy)]);
    expect(stale.map(({ body }) => body)).toEqual(['old', 'old']);
    expect(stale[0]?.cache).toContain('hit; fwd=stale; ttl=0');
    await origin.untilRequests(2);
    let body = '';
    while (body !== 'new') ({ body } = await get(proxy));
    expect(origin.requests.length).toBe(2);
  });

  test('a fetch in the background that fails is no matter of any client, and ends in time', async () => {
    const hang: Step = () => {};
    const { clock, origin, proxy } = await start(
      '{ ttl: 10s, stale_while_revalidate: 1h }',
      ok('old'),
      hang,
      ok('new'),
    );
    await get(proxy);
    await clock.advance(10_000);
    expect((await get(proxy)).body).toBe('old');
    await origin.untilRequests(2);
    expect((await get(proxy)).body).toBe('old');
    await clock.advance(600_000);
    await origin.until(({ openConnections }) => openConnections === 0);
    expect((await get(proxy)).body).toBe('old');
    await origin.untilRequests(3);
    let body = '';
    while (body !== 'new') ({ body } = await get(proxy));
  });

  test.each<[string, Step]>([
    ['a 503', status(503)],
    ['a 429', status(429)],
    ['a reset', reset()],
  ])('stands in for %s, as long as it may', async (_, failure) => {
    const { clock, proxy } = await start('{ ttl: 10s, stale_if_error: 1m }', ok('old'), failure, failure);
    await get(proxy);
    await clock.advance(69_000);
    expect(await get(proxy)).toMatchObject({ status: 200, body: 'old', origin: 'cache', age: '69' });
    await clock.advance(1_000);
    expect((await get(proxy)).status).not.toBe(200);
  });

  test('stands in for an upstream whose breaker is open', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(ok('old'), status(503));
    const more = `${NO_RETRY}    breaker: { failure_rate: 1%, min_requests: 1 }\n    cache: { ttl: 1s, stale_if_error: 10m }\n`;
    const proxy = await startTidy(apiConfig(origin, more), { clock });
    await get(proxy);
    await clock.advance(2_000);
    await get(proxy);
    for (let i = 0; i < 3; i++) expect(await get(proxy)).toMatchObject({ body: 'old', origin: 'cache' });
    expect(origin.requests.length).toBe(2);
    expect((await get(proxy, { path: 'other' })).status).toBe(503);
  });

  test('does not where it says must-revalidate', async () => {
    const head = maxAge(10, ', must-revalidate');
    const { clock, proxy } = await start('{ ttl: 10s, stale_if_error: 1m }', ok('old', head), status(503));
    await get(proxy);
    await clock.advance(9_000);
    expect((await get(proxy)).origin).toBe('cache');
    await clock.advance(1_000);
    expect((await get(proxy)).status).toBe(503);
  });
});

describe('calls at one time', () => {
  /** Answers when the test releases it. */
  function gate() {
    const { promise, resolve } = Promise.withResolvers<void>();
    const held =
      (step: Step): Step =>
      async (exchange) => {
        await promise;
        await step(exchange);
      };
    return { held, open: resolve };
  }

  test('share one fetch', async () => {
    const { held, open } = gate();
    const { origin, proxy } = await start('1m', held(ok('one')));
    const calls = Array.from({ length: 10 }, () => get(proxy));
    await origin.untilRequests(1);
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 10);
    open();
    const bodies = (await Promise.all(calls)).map(({ body, origin: from }) => `${body} ${from}`);
    expect(bodies.filter((text) => text === 'one cache').length).toBe(9);
    expect(origin.requests.length).toBe(1);
  });

  test('replies that cannot be cached are fetched by each call, at the same time', async () => {
    const { held, open } = gate();
    const noStore = { 'cache-control': 'no-store' };
    const second = gate();
    const { origin, proxy } = await start(
      '1m',
      held(ok('1', noStore)),
      ...['2', '3', '4'].map((body) => second.held(ok(body, noStore))),
    );
    const calls = Array.from({ length: 4 }, () => get(proxy));
    await origin.untilRequests(1);
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 4);
    open();
    await origin.untilRequests(4);
    second.open();
    expect((await Promise.all(calls)).map(({ body }) => body).sort()).toEqual(['1', '2', '3', '4']);
  });

  test('a call that leaves does not end the others', async () => {
    const { held, open } = gate();
    const { origin, proxy } = await start('1m', held(ok('first')), ok('second'));
    const leaving = new AbortController();
    const first = get(proxy, { signal: leaving.signal }).catch(() => 'left');
    await origin.untilRequests(1);
    const others = [get(proxy), get(proxy)];
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 3);
    leaving.abort();
    expect(await first).toBe('left');
    expect((await Promise.all(others)).map(({ body }) => body)).toEqual(['second', 'second']);
    open();
    expect(origin.requests.length).toBe(2);
  });
});

test('the metric counts, the log line has the result, and cached replies survive a reload', async () => {
  const { clock, proxy } = await start('{ ttl: 1s }', ok('a', { etag: '"1"' }), status(304, { etag: '"1"' }));
  await get(proxy);
  await get(proxy);
  await clock.advance(1_000);
  await get(proxy);
  await get(proxy, { headers: { range: 'bytes=0-0' } });
  const [miss, hit, revalidated, bypass] = await proxy.untilEnded(4);
  expect([miss, hit, revalidated, bypass].map((record) => record?.notes.cache)).toEqual([
    'miss',
    'hit',
    'revalidated',
    'bypass',
  ]);
  expect([hit?.outcome, hit?.origin]).toEqual(['ok', 'cache']);
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  for (const result of ['miss', 'hit', 'revalidated', 'bypass'])
    expect(metrics).toContain(
      `breakwater_cache_requests_total{upstream="api",route="default",result="${result}"} 1`,
    );
  await proxy.app.reload();
  expect((await get(proxy)).origin).toBe('cache');
});
