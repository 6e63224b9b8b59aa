import { describe, expect, test } from 'vitest';
import { NO_WAIT } from '../support/breakwater.ts';
import { stubDns } from '../support/dns.ts';
import { ok, type OriginExchange, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { startTidy } from '../support/tidy.ts';

const LOOPBACK = ['127.0.0.1'];

/** An upstream whose tenants are all at one port of this machine. `Host` distinguishes them. */
function shops(port: string, more: string, url = '{shop}.shops.example'): string {
  return `${NO_WAIT}
upstreams:
  shop:
    url: http://${url}:${port}
    allow_private: true
${more}`;
}

const BY_PATH = '    mount: { path: "/shop/{shop}" }\n';
const BY_HEADER = '    tenant: { header: X-Shop, matches: "^[a-z0-9-]{1,20}$" }\n';

async function start(more: string, step = ok()) {
  const origin = await startOrigin(step);
  const dns = stubDns(LOOPBACK);
  const { port } = new URL(origin.url);
  const proxy = await startTidy(shops(port, more));
  const send = async (head: string, ...fields: readonly string[]) => {
    const client = await connectRaw(proxy.port);
    const lines = [
      `${head} HTTP/1.1`,
      ...(fields.some((f) => /^host:/i.test(f)) ? [] : ['host: x']),
      ...fields,
    ];
    await client.send(`${lines.join('\r\n')}\r\n\r\n`);
    const reply = await client.readReply();
    return { status: reply.status, text: reply.body.toString() };
  };
  const hosts = () => origin.requests.map(({ headers, url }) => `${headers.host?.split(':')[0]}${url}`);
  return { origin, dns, proxy, send, hosts, port };
}

describe('the tenant of a call', () => {
  test('is a segment of the mount, and decides its host', async () => {
    const { send, hosts } = await start(BY_PATH);
    await send('GET /shop/acme/v1/x?q=1');
    await send('GET /shop/B2/v1/../y');
    await send('GET /shop/a%2Db');
    expect(hosts()).toEqual([
      'acme.shops.example/v1/x?q=1',
      'b2.shops.example/v1/../y',
      'a-b.shops.example/',
    ]);
  });

  test('is a header, which is not passed on', async () => {
    const { origin, send, hosts } = await start(BY_HEADER);
    await send('GET /shop/v1', 'x-shop: acme');
    expect(hosts()).toEqual(['acme.shops.example/v1']);
    expect(origin.requests[0]?.headers['x-shop']).toBeUndefined();
  });

  test('is the first label of Host', async () => {
    const { send, hosts } = await start('    mount: { host: "{shop}.proxy.internal" }\n');
    await send('GET /v1', 'host: acme.proxy.internal:8080');
    expect(hosts()).toEqual(['acme.shops.example/v1']);
    expect((await send('GET /v1', 'host: a.b.proxy.internal')).status).toBe(400);
  });

  const LONG = 'a'.repeat(300);
  const WRONG = [
    'a.b',
    'a%2eb',
    'a%2Fb',
    'a@b',
    'a:1',
    'a%00',
    '-a',
    'a-',
    'a_b',
    'a%20b',
    'xn--mnchen-3ya',
    LONG,
    'a'.repeat(64),
    '%C3%BC',
    'a%252eb',
    '..',
    '.',
    '%2e%2e',
    'localhost.',
  ];

  test.each(WRONG)('is refused before anything is resolved: %s', async (value) => {
    const { origin, dns, proxy, send } = await start(BY_PATH);
    const { status, text } = await send(`GET /shop/${value}/v1`);
    expect([status, JSON.parse(text).code]).toEqual([400, 'invalid_tenant']);
    expect(dns.asked).toEqual([]);
    expect(origin.connections).toBe(0);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ error: 'invalid_tenant', outcome: 'rejected' });
  });

  test.each(['', '/'])('is missing: /shop%s', async (rest) => {
    const { send } = await start(BY_PATH);
    expect(JSON.parse((await send(`GET /shop${rest}`)).text)).toMatchObject({
      code: 'invalid_tenant',
      detail: 'the path segment {shop} must be one label of a host name (a-z, 0-9 and hyphens inside it)',
    });
  });

  test.each([
    [],
    ['x-shop: '],
    ['x-shop: a', 'x-shop: b'],
    ['x-shop: a, b'],
    ['x-shop: \xfc'],
    [`x-shop: ${'a'.repeat(21)}`],
  ])('is a header that is refused: %j', async (...fields) => {
    const { dns, send } = await start(BY_HEADER);
    expect(JSON.parse((await send('GET /shop/v1', ...fields)).text)).toMatchObject({
      status: 400,
      code: 'invalid_tenant',
    });
    expect(dns.asked).toEqual([]);
  });

  test('may have dots if the file says so', async () => {
    const { send, hosts } = await start(`${BY_PATH}    tenant: { dots: true }\n`);
    await send('GET /shop/acme.eu/v1');
    expect((await send('GET /shop/acme./v1')).status).toBe(400);
    expect(hosts()).toEqual(['acme.eu.shops.example/v1']);
  });
});

describe('the state of a tenant', () => {
  const BREAKER = '    retry: { attempts: 1 }\n    breaker: { min_requests: 3, consecutive_failures: 3 }\n';
  const oneDown = async ({ request, response, body }: OriginExchange) => {
    await body();
    response.writeHead(request.headers.host?.startsWith('sick-shop.') ? 500 : 200).end('x');
  };

  test('is its own: the breaker of one never closes the door of another', async () => {
    const { proxy, send } = await start(BY_PATH + BREAKER, oneDown);
    const statuses = [];
    for (let i = 0; i < 4; i++) {
      statuses.push((await send('GET /shop/sick-shop/x')).status, (await send('GET /shop/up/x')).status);
    }
    expect(statuses).toEqual([500, 200, 500, 200, 500, 200, 503, 200]);
    expect(proxy.states).toMatchObject([
      { type: 'breaker_changed', scope: 'shop', tenant: 'sick-shop', to: 'open' },
    ]);
    const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    expect(metrics).not.toContain('sick-shop');
  });

  test('is its own except for the retry budget: an outage of the provider is not multiplied by its tenants', async () => {
    const budget = '    retry: { attempts: 3, budget: { cap: 5, refill: 0/s } }\n    breaker: off\n';
    const { origin, proxy, send } = await start(BY_PATH + budget, status(503));
    for (let i = 0; i < 30; i++) expect((await send(`GET /shop/t${i}/x`)).status).toBe(503);
    expect(origin.requests.length).toBeGreaterThan(30);
    expect(origin.requests.length).toBeLessThanOrEqual(30 + 5);
    const state = (await (await fetch(`${proxy.adminUrl}/api/state`)).json()) as {
      upstreams: { scopes: { budget_tokens: number }[] }[];
    };
    expect(state.upstreams[0]?.scopes[0]?.budget_tokens).toBeLessThan(1);
  });

  test('is kept for the most recently used ones, and never leaves while it has calls', async () => {
    const answers: (() => void)[] = [];
    const slow = async ({ request, response, body }: OriginExchange) => {
      await body();
      if (request.url !== '/slow') return void response.end('x');
      await new Promise<void>((resolve) => answers.push(resolve));
      response.end('late');
    };
    const { origin, proxy, send } = await start(`${BY_PATH}    tenant: { max: 2 }\n`, slow);
    const first = send('GET /shop/a/slow');
    await origin.untilRequests(1);
    await send('GET /shop/b/x');
    await send('GET /shop/c/x');
    expect(proxy.states).toEqual([{ type: 'tenant_left', scope: 'shop', tenant: 'b' }]);
    const second = send('GET /shop/d/slow');
    await origin.untilRequests(4);
    expect(JSON.parse((await send('GET /shop/e/x')).text)).toMatchObject({
      status: 503,
      code: 'tenants_busy',
    });
    for (const answer of answers) answer();
    expect([(await first).text, (await second).text]).toEqual(['late', 'late']);
  });

  test('is kept by a reload that does not change its upstream, and replaced by one that does', async () => {
    const { proxy, send, port } = await start(BY_PATH + BREAKER, oneDown);
    for (let i = 0; i < 3; i++) await send('GET /shop/sick-shop/x');
    expect((await send('GET /shop/sick-shop/x')).status).toBe(503);
    proxy.rewrite(`${shops(port, BY_PATH + BREAKER)}  other: { url: https://other.example.com }\n`);
    expect((await proxy.app.reload()).ok).toBe(true);
    expect((await send('GET /shop/sick-shop/x')).status).toBe(503);
    proxy.rewrite(shops(port, `${BY_PATH}${BREAKER}    tenant: { matches: "^s" }\n`));
    expect((await proxy.app.reload()).ok).toBe(true);
    expect((await send('GET /shop/sick-shop/x')).status).toBe(500);
    expect((await send('GET /shop/up/x')).status).toBe(400);
  });

  test('has a quota that stays when its upstream changes, until an operator resets it', async () => {
    const quota = (limit: string) => `${BY_PATH}    quota: { windows: ${limit}, wait: 1ms }\n`;
    const { proxy, send, port } = await start(quota('3/d'));
    const passed = async (shop: string) => {
      const replies = [];
      for (let i = 0; i < 9; i++) replies.push(await send(`GET /shop/${shop}/x`));
      return replies.filter((reply) => reply.status === 200).length;
    };
    const reload = async (more: string) => {
      proxy.rewrite(shops(port, more));
      expect((await proxy.app.reload()).ok).toBe(true);
    };
    await send('GET /shop/a/x');
    expect(await passed('b')).toBe(3);
    await reload(`${quota('3/d')}    retry: off\n`);
    expect([await passed('a'), await passed('b')]).toEqual([2, 0]);
    await reload(quota('5/d'));
    expect([await passed('a'), await passed('b'), await passed('c')]).toEqual([2, 2, 5]);
    // No call has needed a tenant since this reload.
    await reload(`${quota('5/d')}    retry: off\n`);
    await fetch(`${proxy.adminUrl}/api/upstreams/shop/quota`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close' },
      body: '{"reset":true}',
    });
    expect([await passed('a'), await passed('b')]).toEqual([5, 5]);
  });

  test('has a quota that leaves with it', async () => {
    const more = (max: number) =>
      `${BY_PATH}    tenant: { max: ${max} }\n    quota: { windows: 1/d, wait: 1ms }\n`;
    const { proxy, send, port } = await start(more(2));
    const statuses = async (...tenants: readonly string[]) => {
      const all = [];
      for (const tenant of tenants) all.push((await send(`GET /shop/${tenant}/x`)).status);
      return all;
    };
    // The third one takes the place of b.
    expect(await statuses('a', 'b', 'b', 'a', 'c')).toEqual([200, 200, 429, 429, 200]);
    const reload = async (yaml: string) => {
      proxy.rewrite(shops(port, yaml));
      expect((await proxy.app.reload()).ok).toBe(true);
    };
    await reload(`${more(2)}    retry: off\n`);
    expect(await statuses('a', 'c')).toEqual([429, 429]);
    // With one place, c leaves when a is made again.
    await reload(more(1));
    expect(await statuses('a', 'c')).toEqual([429, 200]);
  });

  test('is forced by an operator for all tenants, later ones included', async () => {
    const { proxy, send } = await start(BY_PATH);
    await send('GET /shop/early/x');
    const force = (to: string) =>
      fetch(`${proxy.adminUrl}/api/upstreams/shop/breaker`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ force: to }),
      });
    expect((await force('open')).status).toBe(200);
    expect([(await send('GET /shop/early/x')).status, (await send('GET /shop/late/x')).status]).toEqual([
      503, 503,
    ]);
    await force('auto');
    expect([(await send('GET /shop/early/x')).status, (await send('GET /shop/late/x')).status]).toEqual([
      200, 200,
    ]);
  });

  test('has a cache and keys of its own', async () => {
    const { hosts, send } = await start(
      `${BY_PATH}    cache: { ttl: 1m }\n    dedupe: { window: 1m }\n    retry: { idempotency_key: pass }\n`,
      ok('x', { 'cache-control': 'max-age=60' }),
    );
    for (const shop of ['a', 'b', 'a', 'b']) await send(`GET /shop/${shop}/item`);
    for (const shop of ['a', 'b', 'a', 'b'])
      await send(`POST /shop/${shop}/item`, 'idempotency-key: one', 'content-length: 0');
    expect(hosts()).toEqual(['a', 'b', 'a', 'b'].map((shop) => `${shop}.shops.example/item`));
  });

  test('is listed by /api/state: the busiest first', async () => {
    const { proxy, send } = await start(BY_PATH);
    for (let i = 0; i < 12; i++) await send(`GET /shop/t${i}/x`);
    const { upstreams } = (await (await fetch(`${proxy.adminUrl}/api/state`)).json()) as {
      upstreams: { scopes: unknown[]; tenants: { count: number; busiest: { tenant: string }[] } }[];
    };
    expect(upstreams[0]).toMatchObject({
      scopes: [{ scope: 'shop' }],
      tenants: { count: 12, max: 1_000, breaker_not_closed: 0 },
    });
    expect(upstreams[0]?.tenants.busiest.map(({ tenant }) => tenant)).toEqual(
      [11, 10, 9, 8, 7, 6, 5, 4, 3, 2].map((i) => `t${i}`),
    );
  });
});

describe('a call of a tenant', () => {
  test('is logged with its tenant, and links lead back to its mount', async () => {
    const { proxy, send, port } = await start(
      `${BY_PATH}    links: rewrite\n`,
      async ({ request, response, body }) => {
        await body();
        response.writeHead(201, { location: `http://${request.headers.host}/items/1` }).end();
      },
    );
    expect(port).toBeDefined();
    const client = await connectRaw(proxy.port);
    await client.send('POST /shop/acme/items HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n');
    const { rawHeaders } = await client.readReply();
    expect(rawHeaders).toContain('/shop/acme/items/1');
    expect((await send('GET /shop/a.b/x')).status).toBe(400);
    const [served, refused] = await proxy.untilEnded(2);
    expect(served).toMatchObject({ info: { upstream: 'shop' }, notes: { tenant: 'acme' } });
    expect(refused?.notes).not.toHaveProperty('tenant');
  });

  test('with a credential of the proxy is refused for a foreign web page, as without tenants', async () => {
    const { dns, send } = await start(`${BY_PATH}    headers: { set: { authorization: "Bearer x" } }\n`);
    expect((await send('GET /shop/acme/x', 'origin: https://evil.example.com')).status).toBe(403);
    expect((await send('GET /shop/acme/x', 'host: evil.example.com')).status).toBe(403);
    expect(dns.asked).toEqual([]);
    expect((await send('GET /shop/acme/x', 'host: acme.shops.example')).status).toBe(200);
  });
});
