import { join } from 'node:path';
import { expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { temporaryFolder } from '../support/command.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { ok, startOrigin, status } from '../support/origin.ts';
import { startTidy } from '../support/tidy.ts';

const BASIC = '    auth: { basic: { user: AC1, password: hush-hush } }\n';
const AS_BASIC = `Basic ${Buffer.from('AC1:hush-hush').toString('base64')}`;
const QUERY = '    auth: { query: { key: hush-hush } }\n';

test('each attempt carries the credential of the proxy, in place of that of the client', async () => {
  const origin = await startOrigin(status(503), ok());
  const proxy = await startTidy(apiConfig(origin, BASIC));
  const reply = await fetch(`${proxy.url}/api/x`, { headers: { authorization: 'Bearer mine' } });
  expect(reply.status).toBe(200);
  expect(origin.requests.map(({ headers }) => headers.authorization)).toEqual([AS_BASIC, AS_BASIC]);
});

test('a key in the query goes to the upstream, and comes back in no header', async () => {
  const origin = await startOrigin(({ request, response, body }) =>
    body().then(() => {
      const here = `http://${request.headers.host}${request.url}`;
      response.writeHead(302, {
        location: `${here}&page=2`,
        link: `<${here}>; rel="self"`,
        'x-odd': 'hush-hush',
      });
      response.end();
    }),
  );
  const proxy = await startTidy(`log: { requests: all }\n${apiConfig(origin, QUERY)}`);
  const reply = await fetch(`${proxy.url}/api/geocode?key=mine&q=a`, { redirect: 'manual' });
  expect(origin.requests[0]?.url).toBe('/geocode?q=a&key=hush-hush');
  expect(reply.headers.get('location')).toBe(`${origin.url}/geocode?q=a&page=2`);
  expect(reply.headers.get('link')).toBe(`<${origin.url}/geocode?q=a>; rel="self"`);
  expect(reply.headers.get('x-odd')).toBe('[redacted]');
  await proxy.untilEnded(1);
  expect(JSON.stringify([proxy.logs, proxy.ended.map(({ info }) => info)])).not.toContain('hush-hush');
});

test('a web page must not use it', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startTidy(apiConfig(origin, QUERY));
  const reply = await fetch(`${proxy.url}/api/x`, { headers: { origin: 'https://evil.example' } });
  expect([reply.status, origin.requests.length]).toEqual([403, 0]);
});

test('a fallback gets its own credential, and not that of the first upstream', async () => {
  const [first, second] = [await startOrigin(status(500)), await startOrigin(ok())];
  const proxy = await startTidy(
    `${apiConfig(first, `${QUERY}    retry: off\n    fallback: { upstream: other }\n`)}  other:\n    url: ${second.url}\n    allow_private: true\n${BASIC}`,
  );
  expect((await fetch(`${proxy.url}/api/x?q=1`)).status).toBe(200);
  expect(second.requests[0]?.url).toBe('/x?q=1');
  expect(second.requests[0]?.headers.authorization).toBe(AS_BASIC);
});

test('clients share a cached reply, because they share the credential; with another one it is not found', async () => {
  const origin = await startOrigin(ok('a', { 'cache-control': 'max-age=60, private' }));
  const config = (user: string) =>
    apiConfig(origin, `    auth: { basic: { user: ${user} } }\n    cache: on\n`);
  const proxy = await startTidy(config('a'));
  const get = async (authorization: string) =>
    (await fetch(`${proxy.url}/api/x`, { headers: { authorization } })).text();
  await get('Bearer a');
  await get('Bearer b');
  expect(origin.requests.length).toBe(1);
  proxy.rewrite(config('b'));
  await proxy.app.reload();
  await get('Bearer a');
  expect(origin.requests.length).toBe(2);
});

test('a durable request gets it when it is sent; the parameter of the client does not count', async () => {
  const origin = await startOrigin(ok('the result'));
  const store = join(temporaryFolder(), 'store.db');
  const client = await startDurable(durableConfig(origin, { store, more: QUERY }));
  const location = await client.accepted({}, {}, '/api/orders?key=made-up&a=1');
  expect(await client.done(location)).toMatchObject({ status: 'succeeded' });
  expect(origin.requests[0]?.url).toBe('/orders?a=1&key=hush-hush');
});

test('links: rewrite sends the client to page 2 through the proxy, with the key', async () => {
  const origin = await startOrigin(({ request, response, body }) =>
    body().then(() => {
      const base = `http://${request.headers.host}/v2`;
      const headers = {
        link: `<${base}/things?page=2&key=hush-hush>; rel="next"`,
        location: `${base}/things/1`,
      };
      response.writeHead(201, headers).end();
    }),
  );
  const proxy = await startTidy(
    apiConfig({ url: `${origin.url}/v2` }, `${QUERY}    links: rewrite\n    mount: { path: /things-api }\n`),
  );
  const first = await fetch(`${proxy.url}/things-api/things`, { method: 'POST' });
  expect(first.headers.get('location')).toBe('/things-api/things/1');
  expect(first.headers.get('link')).toBe('</things-api/things?page=2>; rel="next"');
  await fetch(new URL('/things-api/things?page=2', proxy.url));
  expect(origin.requests[1]?.url).toBe('/v2/things?page=2&key=hush-hush');
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  expect(metrics).toContain('breakwater_links_rewritten_total{upstream="api",route="default"} 2');
});
