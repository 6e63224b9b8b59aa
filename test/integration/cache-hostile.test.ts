import { request } from 'node:http';
import { describe, expect, test } from 'vitest';
import { apiConfig, type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, ok, type Step, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { startTidy, stateOf, untilState } from '../support/tidy.ts';

async function start(cache: string, ...steps: readonly Step[]) {
  const clock = new FakeClock();
  const origin = await startOrigin(...steps);
  const proxy = await startTidy(apiConfig(origin, `    retry: off\n    cache: ${cache}\n`), { clock });
  return { clock, origin, proxy };
}

async function get(proxy: Breakwater, init: RequestInit & { path?: string } = {}) {
  const { path = 'fx', ...rest } = init;
  const reply = await fetch(`${proxy.url}/api/${path}`, rest);
  const { status: code, headers } = reply;
  const origin = headers.get('breakwater-origin');
  return { status: code, body: await reply.text(), origin, headers };
}

const bodies = (...names: string[]) => names.map((name) => ok(name));

describe('whose reply it is', () => {
  test.each(['x-auth', 'x-session-id', 'x-user-id', 'x-customer', 'sudo', 'ocp-apim-subscription-key'])(
    'callers with a different %s get their own reply',
    async (name) => {
      const { proxy } = await start('1m', ...bodies('a', 'b'));
      expect((await get(proxy, { headers: { [name]: 'a' } })).body).toBe('a');
      expect((await get(proxy, { headers: { [name]: 'b' } })).body).toBe('b');
      expect((await get(proxy, { headers: { [name]: 'a' } })).body).toBe('a');
    },
  );

  test('a cookie that comes with a 304 is its own client’s alone', async () => {
    const { clock, origin, proxy } = await start(
      '10s',
      ok('body', { etag: '"1"' }),
      status(304, { etag: '"1"', 'set-cookie': 'session=mine' }),
    );
    await get(proxy);
    await clock.advance(10_000);
    expect((await get(proxy)).headers.getSetCookie()).toEqual(['session=mine']);
    const other = await get(proxy);
    expect([other.origin, other.headers.getSetCookie()]).toEqual(['cache', []]);
    expect(origin.requests.length).toBe(2);
  });

  test('a header that Vary names counts with all its lines', async () => {
    const { proxy } = await start('1m', ...[1, 2].map((n) => ok(String(n), { vary: 'accept-language' })));
    const ask = async (...languages: string[]) => {
      const headers = new Headers();
      for (const language of languages) headers.append('accept-language', language);
      return (await get(proxy, { headers })).body;
    };
    expect([await ask('de', 'en'), await ask('de'), await ask('de', 'en')]).toEqual(['1', '2', '1']);
  });

  test('another upstream URL or another configured header is another resource', async () => {
    const [first, second] = [await startOrigin(ok('first')), await startOrigin(ok('second'), ok('third'))];
    const yaml = (origin: { url: string }, more = '') => apiConfig(origin, `    cache: 1m\n${more}`);
    const proxy = await startTidy(yaml(first), { clock: new FakeClock() });
    expect((await get(proxy)).body).toBe('first');
    proxy.rewrite(yaml(second));
    await proxy.app.reload();
    expect((await get(proxy)).body).toBe('second');
    proxy.rewrite(yaml(second, '    headers: { set: { api-version: "2" } }\n'));
    await proxy.app.reload();
    expect((await get(proxy)).body).toBe('third');
  });
});

describe('a reply that depends on a header which its Vary does not name', () => {
  test.each([
    'accept',
    'accept-language',
    'stripe-version',
    'anthropic-version',
    'x-github-api-version',
    'openai-beta',
    'prefer',
    'x-region',
  ])('is not shared across %s', async (name) => {
    const { proxy } = await start('{ ttl: 1m, vary: [X-Region] }', ...bodies('a', 'b'));
    expect((await get(proxy, { headers: { [name]: 'a' } })).body).toBe('a');
    expect((await get(proxy, { headers: { [name]: 'b' } })).body).toBe('b');
    expect((await get(proxy, { headers: { [name]: 'a' } })).body).toBe('a');
  });

  test('is shared across values that mean the same, and across other headers', async () => {
    const { origin, proxy } = await start('1m', ...bodies('a', 'b'));
    await get(proxy, { headers: { accept: 'text/csv, text/html; q=0.5', 'x-page': '1' } });
    expect((await get(proxy, { headers: { accept: 'text/csv,text/html;q=0.5' } })).body).toBe('a');
    expect(origin.requests.length).toBe(1);
  });

  test('a coded body goes only to a client that takes its coding', async () => {
    const { origin, proxy } = await start('1m', ok('coded', { 'content-encoding': 'x-own' }), ok('plain'));
    const ask = async (coding: string) => (await get(proxy, { headers: { 'accept-encoding': coding } })).body;
    expect(await ask('x-own')).toBe('coded');
    expect(await ask('identity')).toBe('plain');
    expect([await ask('x-own'), await ask('identity'), await ask('br, x-own;q=0')]).toEqual([
      'plain',
      'plain',
      'plain',
    ]);
    expect(origin.requests.length).toBe(2);
  });
});

test('a coding that was not requested is served again to the same request', async () => {
  const { proxy } = await start('1m', ok('coded', { 'content-encoding': 'x-own' }), ok('other'));
  await get(proxy, { headers: { 'accept-encoding': 'identity' } });
  expect((await get(proxy, { headers: { 'accept-encoding': 'identity' } })).body).toBe('coded');
  expect((await get(proxy, { headers: { 'accept-encoding': 'br' } })).body).toBe('other');
});

describe('a private reply', () => {
  const OWN = { 'cache-control': 'private, max-age=60' };

  test('is not cached for an unknown caller', async () => {
    const { proxy } = await start('on', ok('a', OWN), ok('b', OWN));
    expect((await get(proxy, { headers: { 'x-lane': '1' } })).body).toBe('a');
    expect((await get(proxy, { headers: { 'x-lane': '2' } })).body).toBe('b');
  });

  test('is cached for a known caller', async () => {
    const { proxy } = await start('on', ok('a', OWN), ok('b', OWN));
    const ask = async (key: string) => (await get(proxy, { headers: { 'x-api-key': key } })).body;
    expect([await ask('1'), await ask('2'), await ask('1')]).toEqual(['a', 'b', 'a']);
  });
});

test('a change by one caller invalidates the replies of all callers', async () => {
  const { proxy } = await start('1m', ok('old'), status(204), ok('new'));
  const as = (key: string, init: RequestInit = {}) => get(proxy, { ...init, headers: { 'x-api-key': key } });
  await as('reader');
  await as('writer', { method: 'PUT', body: 'new' });
  expect((await as('reader')).body).toBe('new');
});

describe('not cached', () => {
  test('requests that the API may read as another request', async () => {
    const { proxy } = await start('1m', ...bodies('a', 'b'));
    const headers = { 'x-http-method-override': 'DELETE' };
    expect([(await get(proxy, { headers })).body, (await get(proxy)).body]).toEqual(['a', 'b']);
  });

  test('replies to a request with a body', async () => {
    const { origin, proxy } = await start('1m', ...bodies('a', 'b'));
    const search = (body: string) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      const req = request(`${proxy.url}/api/_search`, { method: 'GET' }, (reply) => {
        let text = '';
        reply.on('data', (chunk) => (text += String(chunk))).on('end', () => resolve(text));
      });
      req.setHeader('content-length', body.length);
      req.end(body);
      return promise;
    };
    expect([await search('{"q":1}'), await search('{"q":2}')]).toEqual(['a', 'b']);
    expect(origin.requests.length).toBe(2);
  });

  test('the reply of a fallback: the upstream is asked again', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(status(503), ok('real'));
    const more = '    retry: off\n    cache: 1m\n    fallback: { reply: { status: 200, body: stand-in } }\n';
    const proxy = await startTidy(apiConfig(origin, more), { clock });
    expect(await get(proxy)).toMatchObject({ body: 'stand-in', origin: 'fallback' });
    expect(await get(proxy)).toMatchObject({ body: 'real', origin: 'upstream' });
    expect(await get(proxy)).toMatchObject({ body: 'real', origin: 'cache' });
  });

  test.each([302, 404, 410, 501])('a %i for ttl alone', async (code) => {
    const { proxy } = await start('1m', status(code), ok('now it is there'));
    await get(proxy, { redirect: 'manual' });
    expect((await get(proxy)).body).toBe('now it is there');
  });

  test('a 404 is, when it says so itself', async () => {
    const { proxy } = await start('on', status(404, { 'cache-control': 'max-age=5' }), ok('now it is there'));
    await get(proxy);
    expect(await get(proxy)).toMatchObject({ status: 404, origin: 'cache' });
  });

  test('a reply that was on its way when something was changed', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const old: Step = async ({ response }) => {
      await promise;
      response.writeHead(200).end('old');
    };
    const { origin, proxy } = await start('1m', old, status(204), ok('new'));
    const first = get(proxy);
    await origin.untilRequests(1);
    await get(proxy, { method: 'PUT', body: 'new' });
    resolve();
    expect((await first).body).toBe('old');
    expect((await get(proxy)).body).toBe('new');
  });

  test.each(['max-age=60, NO-STORE', 'max-age=60, No-Cache', 'max-age=60, Private, No-Store'])(
    'one that says %s: case means nothing',
    async (control) => {
      const { proxy } = await start('on', ok('a', { 'cache-control': control }), ok('b'));
      await get(proxy);
      expect((await get(proxy)).body).toBe('b');
    },
  );

  test.each([
    ['a negative Age', { age: '-86400', 'cache-control': 'max-age=10' }],
    ['a garbled Age', { age: '1e9', 'cache-control': 'max-age=10' }],
    ['two lifetimes', { 'cache-control': 'max-age=60, max-age=10' }],
    ['a lifetime in quotes', { 'cache-control': 'max-age="10"' }],
  ])('longer than it says, in spite of %s', async (_, headers) => {
    const { clock, proxy } = await start('on', ok('a', headers), ok('b'));
    await get(proxy);
    await clock.advance(10_000);
    expect((await get(proxy)).body).toBe('b');
  });

  test.each(['max-age=60, Expires in the past', 'Pragma'])('garbage (%s) is not trusted', async (kind) => {
    const headers = kind === 'Pragma' ? { pragma: 'no-cache', expires: 'Fri, 01 Jan 2027 00:00:00 GMT' } : {};
    const expired = { expires: '0', 'cache-control': 'max-age=x' };
    const { proxy } = await start('on', ok('a', kind === 'Pragma' ? headers : expired), ok('b'));
    await get(proxy);
    expect((await get(proxy)).body).toBe('b');
  });
});

test('an error with status 200 is not cached', async () => {
  const limited = ok('{"error":"ratelimited"}', { 'content-type': 'application/json' });
  const origin = await startOrigin(limited, ok('{}'));
  const rules = '[{ name: limited, status: 200, body: { /error: ratelimited }, means: permanent }]';
  const more = `    retry: off\n    cache: 1m\n    errors: { inspect: all, rules: ${rules} }\n`;
  const proxy = await startTidy(apiConfig(origin, more));
  expect((await get(proxy)).body).toContain('ratelimited');
  expect((await get(proxy)).body).toBe('{}');
});

test('the newest eight variants of a target are cached', async () => {
  const steps = Array.from({ length: 10 }, (_, n) => ok(String(n), { vary: 'x-kind' }));
  const { origin, proxy } = await start('1m', ...steps);
  const ask = async (n: number) => (await get(proxy, { headers: { 'x-kind': String(n) } })).body;
  for (let n = 0; n < 9; n++) expect(await ask(n)).toBe(String(n));
  expect([await ask(8), await ask(1), await ask(0)]).toEqual(['8', '1', '9']);
  expect(origin.requests.length).toBe(10);
});

describe('for how long', () => {
  const LONG_AGO = 'Thu, 01 Jan 2015 00:00:00 GMT';
  test.each([
    ['Expires speaks before ttl', '1h', { expires: 'Thu, 01 Jan 2026 00:00:10 GMT' }, 10],
    [
      'not beyond Expires where ttl is an override',
      '{ ttl: 20s, override: true }',
      { expires: LONG_AGO },
      20,
    ],
    ['private means its caller', 'on', { 'cache-control': 'private, max-age=10', vary: 'authorization' }, 10],
    ['s-maxage speaks before max-age', 'on', { 'cache-control': 'max-age=60, s-maxage=10' }, 10],
    ['less than a second counts as one', '300ms', {}, 1],
    [
      'its own stale-if-error counts',
      '{ ttl: 1h, stale_if_error: 1h }',
      { 'cache-control': 'max-age=10, stale-if-error=0' },
      10,
    ],
  ])('%s', async (_, cache, headers, seconds) => {
    const date = 'Thu, 01 Jan 2026 00:00:00 GMT';
    const { clock, proxy } = await start(cache, ok('old', { ...headers, date }), status(503));
    const own = { headers: { authorization: 'Bearer mine' } };
    await get(proxy, own);
    await clock.advance(seconds * 1_000 - 1);
    expect((await get(proxy, own)).body).toBe('old');
    await clock.advance(1);
    expect((await get(proxy, own)).status).toBe(503);
  });

  test('nothing is guessed from Last-Modified', async () => {
    const { proxy } = await start('on', ok('a', { 'last-modified': LONG_AGO }), ok('b'));
    await get(proxy);
    expect((await get(proxy)).body).toBe('b');
  });

  test('a reply that can neither be served nor revalidated takes no memory', async () => {
    const { proxy } = await start('on', ok('a'));
    await get(proxy);
    expect((await stateOf(proxy)).upstreams[0]?.scopes[0]).toMatchObject({ cache_bytes: 0 });
  });
});

describe('a client’s word', () => {
  test('Pragma: no-cache is an old one for Cache-Control: no-cache', async () => {
    const { proxy } = await start('1m', ok('old'), ok('new'));
    await get(proxy);
    const fresh = await get(proxy, { headers: { pragma: 'no-cache' } });
    expect([fresh.body, fresh.headers.get('cache-status')]).toEqual([
      'new',
      'breakwater; fwd=request; stored',
    ]);
  });

  test('with no-cache it gets an error, not a cached reply', async () => {
    const { proxy } = await start('{ ttl: 1m, stale_if_error: 1h }', ok('old'), status(503));
    await get(proxy);
    expect((await get(proxy, { headers: { 'cache-control': 'No-Cache' } })).status).toBe(503);
  });

  test.each([
    'max-age=1, must-revalidate',
    'no-cache',
    'max-age=1, must-revalidate, stale-while-revalidate="99"',
  ])('max-stale is no way around %s', async (control) => {
    const { clock, proxy } = await start('on', ok('a', { etag: '"1"', 'cache-control': control }), ok('b'));
    await get(proxy);
    await clock.advance(2_000);
    // Not by fetch(), which would add words of its own.
    expect((await get(proxy, { headers: { 'cache-control': 'max-stale' } })).body).toBe('b');
  });
});

describe('conditions of a client', () => {
  const LAST = 'Thu, 01 Jan 2026 00:00:00 GMT';

  /** fetch() would add words of its own where there is a condition. */
  async function ask(proxy: Breakwater, ...lines: string[]) {
    const client = await connectRaw(proxy.port);
    await client.send(`GET /api/fx HTTP/1.1\r\nhost: x\r\n${lines.join('\r\n')}\r\n\r\n`);
    return client.readReply();
  }

  test('are not evaluated for a cached 404', async () => {
    const { origin, proxy } = await start('on', status(404, { etag: '"1"', 'cache-control': 'max-age=9' }));
    await get(proxy);
    expect((await ask(proxy, 'if-none-match: "1"')).status).toBe(404);
    expect(origin.requests.length).toBe(1);
  });

  test.each(['2050', 'Fri, 01 Jan 2027 00:00:00 UTC', ''])(
    'a date that is none (%s) is no condition',
    async (date) => {
      const { proxy } = await start('1m', ok('body', { 'last-modified': LAST }));
      await get(proxy);
      expect((await ask(proxy, `if-modified-since: ${date}`)).status).toBe(200);
    },
  );

  test('a tag with a comma is one tag', async () => {
    const { proxy } = await start('1m', ok('body', { etag: '"a,b"' }));
    await get(proxy);
    expect((await ask(proxy, 'if-none-match: "x", "a,b"')).status).toBe(304);
    expect((await ask(proxy, 'if-none-match: "b"')).status).toBe(200);
  });

  test('a different tag counts, with any date', async () => {
    const { proxy } = await start('1m', ok('body', { 'last-modified': LAST }));
    await get(proxy);
    expect((await ask(proxy, 'if-none-match: "x"', `if-modified-since: ${LAST}`)).status).toBe(200);
  });

  test('go to the upstream unchanged: If-Match is no revalidation', async () => {
    const { clock, origin, proxy } = await start('1s', ok('a', { etag: '"1"' }), status(412));
    await get(proxy);
    await clock.advance(1_000);
    expect((await ask(proxy, 'if-match: "2"')).status).toBe(412);
    expect(origin.requests[1]?.headers['if-none-match']).toBeUndefined();
  });

  test('a handshake is none of the cache', async () => {
    const { origin, proxy } = await start('1m', ok('kept'), status(426));
    await get(proxy);
    const handshake = ['connection: upgrade', 'upgrade: websocket', 'sec-websocket-version: 13'];
    expect((await ask(proxy, ...handshake, 'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==')).status).toBe(426);
    expect(origin.requests.length).toBe(2);
  });
});

describe('a 304', () => {
  test('to a date confirms, and needs to say nothing', async () => {
    const { clock, origin, proxy } = await start(
      '10s',
      ok('a', { 'last-modified': 'Thu, 01 Jan 2026 00:00:00 GMT', etag: '"1"', age: '5' }),
      status(304),
    );
    await get(proxy);
    expect((await get(proxy)).headers.get('age')).toBe('5');
    await clock.advance(10_000);
    expect(await get(proxy)).toMatchObject({ body: 'a', origin: 'cache' });
    expect((await get(proxy)).headers.get('age')).toBe('0');
    expect(origin.requests.length).toBe(2);
  });

  test('that confirms something else is not believed', async () => {
    const { clock, origin, proxy } = await start(
      '10s',
      ok('old', { etag: '"1"' }),
      status(304, { etag: '"2"' }),
      ok('new', { etag: '"2"' }),
    );
    await get(proxy);
    await clock.advance(10_000);
    expect(await get(proxy)).toMatchObject({ body: 'new', origin: 'upstream' });
    expect(origin.requests.map(({ headers }) => headers['if-none-match'])).toEqual([
      undefined,
      '"1"',
      undefined,
    ]);
  });

  test('makes it as young as it says', async () => {
    const { clock, proxy } = await start(
      'on',
      ok('a', { age: '50', etag: '"1"', 'cache-control': 'max-age=60' }),
      status(304, { etag: '"1"' }),
      ok('b'),
    );
    await get(proxy);
    await clock.advance(10_000);
    await get(proxy);
    await clock.advance(59_000);
    expect(await get(proxy)).toMatchObject({ body: 'a', origin: 'cache' });
    await clock.advance(1_000);
    expect((await get(proxy)).body).toBe('b');
  });

  test('that forbids caching removes the cached reply', async () => {
    const { clock, origin, proxy } = await start(
      '{ ttl: 10s, stale_if_error: 1h }',
      ok('a', { etag: '"1"' }),
      status(304, { etag: '"1"', 'cache-control': 'no-store' }),
      status(503),
    );
    await get(proxy);
    await clock.advance(10_000);
    expect((await get(proxy)).body).toBe('a');
    expect((await get(proxy)).status).toBe(503);
    expect(origin.requests.length).toBe(3);
  });

  test('of a fallback confirms nothing', async () => {
    const clock = new FakeClock();
    const LAST = 'Thu, 01 Jan 2026 00:00:00 GMT';
    const origin = await startOrigin(ok('old', { 'last-modified': LAST }), status(503));
    const other = await startOrigin(({ request, response }) => {
      if (request.headers['if-modified-since'] === undefined) response.writeHead(200).end('other');
      else response.writeHead(304).end();
    });
    const proxy = await startTidy(
      `${apiConfig(origin, '    retry: off\n    cache: 10s\n    fallback: { upstream: other }\n')}  other: { url: ${other.url}, allow_private: true }\n`,
      { clock },
    );
    await get(proxy);
    await clock.advance(10_000);
    expect(await get(proxy)).toMatchObject({ status: 200, body: 'other', origin: 'fallback' });
  });
});

describe('calls that wait for another’s fetch', () => {
  test('does not wait for a stream of events', async () => {
    const events: Step = ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n');
    };
    const { origin, proxy } = await start('1m', events);
    const first = await fetch(`${proxy.url}/api/events`);
    const second = await fetch(`${proxy.url}/api/events`);
    expect([first.status, second.status, origin.requests.length]).toEqual([200, 200, 2]);
    await Promise.all([first.body?.cancel(), second.body?.cancel()]);
  });

  test('wait half of their time at most, and then fetch alone', async () => {
    const stuck: Step = ({ response }) => {
      response.writeHead(200);
      response.write('part');
    };
    const { clock, origin, proxy } = await start('1m\n    timeouts: { total: 30s }', stuck, ok('whole'));
    const first = await fetch(`${proxy.url}/api/fx`);
    const second = get(proxy);
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 2);
    await clock.advance(15_000);
    expect((await second).body).toBe('whole');
    expect(origin.requests.length).toBe(2);
    await first.body?.cancel();
  });
});

test('a call that leaves during the body lets one other call try, not all', async () => {
  const stuck: Step = ({ response }) => {
    response.writeHead(200);
    response.write('part');
  };
  const { promise, resolve } = Promise.withResolvers<void>();
  const whole: Step = async ({ response }) => {
    await promise;
    response.end('whole');
  };
  const { origin, proxy } = await start('1m', stuck, whole);
  const leaving = new AbortController();
  await fetch(`${proxy.url}/api/fx`, { signal: leaving.signal });
  const others = [get(proxy), get(proxy), get(proxy)];
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 4);
  leaving.abort();
  await origin.untilRequests(2);
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 3);
  resolve();
  expect((await Promise.all(others)).map(({ body }) => body)).toEqual(['whole', 'whole', 'whole']);
  expect(origin.requests.length).toBe(2);
});

test('a HEAD that gets a stale reply has the whole fetched in the background', async () => {
  const { clock, origin, proxy } = await start(
    '{ ttl: 1s, stale_while_revalidate: 1m }',
    ok('old'),
    ok('new'),
  );
  await get(proxy);
  await clock.advance(1_000);
  expect((await get(proxy, { method: 'HEAD' })).status).toBe(200);
  await origin.untilRequests(2);
  let body = '';
  while (body !== 'new') ({ body } = await get(proxy));
  expect(origin.requests[1]?.method).toBe('GET');
});

test('an upstream that is down is asked once for all waiting calls, and all get the stale reply', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const down: Step = async ({ response }) => {
    await promise;
    response.writeHead(503).end();
  };
  const { clock, origin, proxy } = await start('{ ttl: 10s, stale_if_error: 1m }', ok('old'), down);
  await get(proxy);
  await clock.advance(10_000);
  const calls = Array.from({ length: 5 }, () => get(proxy));
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 5);
  resolve();
  expect((await Promise.all(calls)).map(({ body }) => body)).toEqual(Array(5).fill('old'));
  expect(origin.requests.length).toBe(2);
});

test('a background fetch does not belong to the call that got a stale reply', async () => {
  const { clock, origin, proxy } = await start(
    '{ ttl: 10s, stale_while_revalidate: 1m }',
    ok('old', { etag: '"1"' }),
    status(304, { etag: '"1"' }),
  );
  await get(proxy);
  await clock.advance(10_000);
  const stale = await get(proxy);
  expect([stale.body, stale.headers.get('breakwater-attempts')]).toEqual(['old', '0']);
  await origin.untilRequests(2);
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.scopes[0]?.concurrency?.in_flight === 0);
  const [, record] = await proxy.untilEnded(2);
  expect([record?.attempts, record?.notes.cache, record?.outcome]).toEqual([0, 'stale', 'ok']);
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  expect(metrics).toContain('breakwater_attempts_total{upstream="api",route="default",result="ok"} 2');
  expect(metrics).not.toContain('result="revalidated"');
});

test('a shutdown ends background fetches', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(ok('old'), hang());
  const more = '    cache: { ttl: 10s, stale_while_revalidate: 10m }\n';
  const proxy = await startBreakwater(apiConfig(origin, more), { clock });
  await get(proxy);
  await clock.advance(10_000);
  await get(proxy);
  await origin.untilRequests(2);
  const stopped = proxy.app.stop(0);
  await clock.advance(1_000);
  await stopped;
  await origin.until(({ openConnections }) => openConnections === 0);
  expect(clock.pending).toBe(0);
});

test('a continued body is cached whole', async () => {
  const body = 'abcdefghij'.repeat(1_000);
  const broken: Step = ({ response }) => {
    response.writeHead(200, { etag: '"1"', 'content-length': body.length, 'accept-ranges': 'bytes' });
    response.write(body.slice(0, 5_000), () => response.destroy());
  };
  const rest: Step = ({ request: { headers }, response }) => {
    const from = Number(/bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
    const range = `bytes ${from}-${body.length - 1}/${body.length}`;
    response.writeHead(206, { etag: '"1"', 'content-range': range }).end(body.slice(from));
  };
  const origin = await startOrigin(broken, rest);
  const proxy = await startTidy(apiConfig(origin, '    resume: { attempts: 2 }\n    cache: 1m\n'));
  expect((await get(proxy)).body).toBe(body);
  expect(await get(proxy)).toMatchObject({ status: 200, origin: 'cache', body });
});

test('a stale reply in place of an error counts as a fallback does', async () => {
  const { clock, proxy } = await start('{ ttl: 10s, stale_if_error: 1m }', ok('old'), status(503));
  await get(proxy);
  await clock.advance(10_000);
  await get(proxy);
  expect((await proxy.untilEnded(2))[1]?.outcome).toBe('fallback');
});

test('a body in many small pieces is cached in few', async () => {
  const dripping: Step = async ({ response }) => {
    response.writeHead(200);
    for (let i = 0; i < 3_000; i++) {
      if (!response.write('x')) await new Promise((resolve) => response.once('drain', resolve));
    }
    response.end();
  };
  const { proxy } = await start('1m', dripping);
  await get(proxy);
  expect(await get(proxy)).toMatchObject({ body: 'x'.repeat(3_000), origin: 'cache' });
});
