import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  assertionKey,
  type AuthorizationServer,
  startAuthorizationServer,
} from '../support/authorization-server.ts';
import { apiConfig, type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { temporaryFolder } from '../support/command.ts';
import { stubDns } from '../support/dns.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, startOrigin } from '../support/origin.ts';
import { startTidy, stateOf } from '../support/tidy.ts';

const SECRET = 'hush-hush-of-the-client';

function oauth2({ tokenUrl }: Pick<AuthorizationServer, 'tokenUrl'>, secret = SECRET, more = ''): string {
  return `    auth: { oauth2: { token_url: "${tokenUrl}", client_id: app, client_secret: "${secret}", allow_private: true${more} } }\n`;
}

async function start(server: AuthorizationServer, more = '', clock = new FakeClock()) {
  const origin = await startOrigin(server.api);
  const config = `log: { requests: all }\n${apiConfig(origin, `${oauth2(server)}${more}`)}`;
  const proxy = await startTidy(config, { clock });
  const get = async (path = '/x', init: RequestInit = {}) => fetch(`${proxy.url}/api${path}`, init);
  return { origin, proxy, clock, get };
}

/** All that the proxy says to anyone. */
async function everything(proxy: Breakwater): Promise<string> {
  const pages = ['/metrics', '/api/state', '/api/config', '/api/calls'];
  const texts = pages.map(async (path) => (await fetch(proxy.adminUrl + path)).text());
  return JSON.stringify([proxy.logs, proxy.states, ...(await Promise.all(texts))]);
}

const renewals = async (proxy: Breakwater, result: string) => {
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  const line = `breakwater_credential_renewals_total{upstream="api",scope="api",result="${result}"} `;
  return Number(metrics.split(line)[1]?.split('\n')[0] ?? 0);
};

test('the first call waits for a token, and later ones share it', async () => {
  const server = await startAuthorizationServer();
  const { proxy, get, origin } = await start(server);
  const first = await Promise.all([get(), get('/y', { headers: { authorization: 'Bearer mine' } })]);
  expect(first.map(({ status }) => status)).toEqual([200, 200]);
  expect((await get()).status).toBe(200);
  expect([server.granted, new Set(server.tokens).size, origin.requests.length]).toEqual([1, 1, 3]);
  const state = (await (await fetch(`${proxy.adminUrl}/api/state`)).json()) as {
    upstreams: { scopes: { auth: object }[] }[];
  };
  // Five seconds are a margin.
  expect(state.upstreams[0]?.scopes[0]?.auth).toEqual({ kind: 'oauth2', expires_ms: 595_000 });
  const said = await everything(proxy);
  for (const secret of [SECRET, server.tokens[0] as string]) expect(said).not.toContain(secret);
});

test('all tenants of an upstream share one token', async () => {
  const server = await startAuthorizationServer();
  const origin = await startOrigin(server.api);
  stubDns(['127.0.0.1']);
  const proxy = await startTidy(
    `upstreams:\n  api:\n    url: http://{shop}.shops.example:${origin.port}\n    allow_private: true\n    mount: { path: "/api/{shop}" }\n${oauth2(server)}`,
    { clock: new FakeClock() },
  );
  const statuses = await Promise.all(
    ['a', 'b', 'c', 'a'].map(async (shop) => (await fetch(`${proxy.url}/api/${shop}/x`)).status),
  );
  expect(statuses).toEqual([200, 200, 200, 200]);
  expect([server.granted, new Set(origin.requests.map(({ headers }) => headers.host)).size]).toEqual([1, 3]);
});

test('1,000 calls at the moment of expiry cause one token request', { timeout: 60_000 }, async () => {
  const server = await startAuthorizationServer();
  const { clock, get } = await start(server, '    concurrency: off\n');
  await get();
  await clock.advance(600_000);
  const calls = await Promise.all(Array.from({ length: 1_000 }, async () => (await get()).status));
  expect(new Set(calls)).toEqual(new Set([200]));
  expect(server.granted).toBe(2);
});

test('a token expires while the process is stopped', async () => {
  const server = await startAuthorizationServer();
  const { clock, get, origin } = await start(server);
  await get();
  clock.stoppedMs = 600_000;
  expect((await get()).status).toBe(200);
  expect([server.granted, origin.requests.length]).toEqual([2, 2]);
});

test('a token is renewed in the background after four fifths of its lifetime; no call waits', async () => {
  const server = await startAuthorizationServer();
  const { proxy, clock, get } = await start(server);
  await get();
  await clock.advance(479_000);
  await get();
  expect(server.granted).toBe(1);
  await clock.advance(62_000);
  await server.stop();
  // It uses the old token while the renewal cannot succeed.
  expect((await get()).status).toBe(200);
  await server.start();
  for (;;) {
    await get();
    if ((await renewals(proxy, 'renewed')) === 2) break;
    await clock.advance(1_000);
  }
  // The old one would have expired at 595 s.
  expect(clock.now()).toBeLessThan(590_000);
  await get();
  expect(new Set(server.tokens).size).toBe(2);
});

describe('a revoked token', () => {
  test('is renewed once, and the call is repeated once', async () => {
    const server = await startAuthorizationServer();
    const { proxy, get, origin } = await start(server);
    await get();
    await server.revoke(server.tokens[0] as string);
    const replies = await Promise.all(
      Array.from({ length: 5 }, () => get('/x', { method: 'POST', body: 'an order' })),
    );
    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 5 }, () => 200));
    expect(server.granted).toBe(2);
    expect(origin.requests.slice(1).every(({ body }) => body.toString() === 'an order')).toBe(true);
    // A call that begins after the renewal needs no repeat.
    const attempts = replies.map(({ headers }) => Number(headers.get('breakwater-attempts')));
    expect([Math.max(...attempts), attempts.reduce((sum, n) => sum + n, 1)]).toEqual([
      2,
      origin.requests.length,
    ]);
    const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    expect(metrics).toContain(
      `breakwater_auth_repeats_total{upstream="api",route="default"} ${origin.requests.length - 6}`,
    );
  });

  test('does not repeat a call whose body is no longer buffered', async () => {
    const server = await startAuthorizationServer();
    const { get, origin } = await start(server, '    request: { max_replay: 1KiB }\n');
    await get();
    await server.revoke(server.tokens[0] as string);
    const reply = await get('/x', { method: 'POST', body: 'x'.repeat(300_000) });
    expect([reply.status, origin.requests.length]).toEqual([401, 2]);
    // The next call has the new token.
    expect((await get()).status).toBe(200);
    expect([server.granted, origin.requests.length]).toEqual([2, 3]);
  });

  test.each([
    [401, ''],
    [403, '    errors: { rules: [{ status: 403, means: credential_refused }] }\n'],
  ])(
    'that an API refuses again and again with %i causes no token request with each call',
    async (code, more) => {
      const server = await startAuthorizationServer();
      const origin = await startOrigin(({ response }) => void response.writeHead(code).end('no'));
      const clock = new FakeClock();
      const proxy = await startTidy(apiConfig(origin, oauth2(server) + more), { clock });
      for (let call = 0; call < 10; call++) expect((await fetch(`${proxy.url}/api/x`)).status).toBe(code);
      expect([server.granted, origin.requests.length]).toEqual([2, 11]);
      await clock.advance(30_000);
      await fetch(`${proxy.url}/api/x`);
      expect(server.granted).toBe(3);
    },
  );
});

test('a call that waits for a token holds no permit, and may leave', async () => {
  const silent = await startOrigin(hang());
  const origin = await startOrigin();
  // The token request itself goes on: other calls may wait for it.
  const proxy = await startBreakwater(apiConfig(origin, oauth2({ tokenUrl: `${silent.url}/token` })));
  const leaving = new AbortController();
  const call = fetch(`${proxy.url}/api/x`, { signal: leaving.signal });
  await silent.untilRequests(1);
  const { upstreams } = await stateOf(proxy);
  expect([upstreams[0]?.in_flight, upstreams[0]?.scopes[0]?.concurrency?.in_flight]).toEqual([1, 0]);
  leaving.abort();
  await expect(call).rejects.toThrow('abort');
  expect((await proxy.untilEnded(1))[0]?.outcome).toBe('client_gone');
  expect(origin.requests.length).toBe(0);
});

test('while the token endpoint is down for a minute, no caller notices; after the old token has expired, each gets 502', {
  timeout: 60_000,
}, async () => {
  const server = await startAuthorizationServer();
  const { proxy, clock, get, origin } = await start(server);
  await get();
  await server.stop();
  await clock.advance(530_000);
  for (let second = 0; second < 60; second++) {
    expect((await get()).status).toBe(200);
    await clock.advance(1_000);
  }
  expect(await renewals(proxy, 'failed')).toBeGreaterThan(0);
  expect(await renewals(proxy, 'failed')).toBeLessThan(10);
  await clock.advance(70_000);
  const seen = origin.requests.length;
  const reply = get();
  await proxy.until(() => proxy.states.filter(({ type }) => type === 'credential_renewal').length > 0);
  const failed = await settled(reply, clock);
  expect(failed.status).toBe(502);
  expect(await failed.json()).toMatchObject({
    code: 'auth_failed',
    detail: expect.stringMatching(
      /^the token endpoint 127.0.0.1:\d+ gave no token: (connection_refused|breaker_open)/,
    ),
    attempts: 0,
  });
  expect(failed.headers.get('proxy-status')).toContain('error=proxy_internal_response');
  expect(origin.requests.length).toBe(seen);
  await server.start();
  await clock.advance(120_000);
  expect((await settled(get(), clock)).status).toBe(200);
});

/** Advances the clock until `reply` is there: the retries of a token request wait. */
async function settled<T>(reply: Promise<T>, clock: FakeClock): Promise<T> {
  let done = false;
  reply.finally(() => (done = true)).catch(() => undefined);
  while (!done) {
    await clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return reply;
}

test('a token endpoint whose reply does not end is given up after 15 s, as one without a reply is', async () => {
  const clock = new FakeClock();
  const endpoint = await startOrigin(({ response }) => {
    response.writeHead(200, { 'content-type': 'application/json' }).write('{');
  });
  const origin = await startOrigin();
  const more = oauth2({ tokenUrl: `${endpoint.url}/token` });
  const proxy = await startTidy(apiConfig(origin, more), { clock });
  const reply = fetch(`${proxy.url}/api/x`);
  // The head has arrived, and the body is awaited.
  await clock.untilWaiting('exchange.ts', 60_000);
  await clock.advance(15_000);
  expect((await reply).status).toBe(502);
  await endpoint.until(({ openConnections }) => openConnections === 0);
  expect(await renewals(proxy, 'failed')).toBe(1);
});

test('a wrong secret: each call gets a clear 502, and the endpoint few requests', async () => {
  const server = await startAuthorizationServer();
  const origin = await startOrigin(server.api);
  const proxy = await startTidy(apiConfig(origin, oauth2(server, 'not-the-secret')), {
    clock: new FakeClock(),
  });
  for (let call = 0; call < 20; call++) {
    const reply = await fetch(`${proxy.url}/api/x`);
    expect(reply.status).toBe(502);
    expect(await reply.json()).toMatchObject({
      code: 'auth_failed',
      detail: expect.stringMatching(
        /refused to give a token: 401 invalid_client; check client_id and its secret$/,
      ),
    });
  }
  expect([server.refused, origin.requests.length]).toEqual([1, 0]);
  expect(await everything(proxy)).not.toContain('not-the-secret');
  const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
  expect(metrics).toContain(
    'breakwater_rejected_total{upstream="api",route="default",reason="auth_failed"} 20',
  );
});

test('a new secret is used at once after a reload, and a valid token stays', async () => {
  const server = await startAuthorizationServer();
  const origin = await startOrigin(server.api);
  const clock = new FakeClock();
  const config = (secret: string) => apiConfig(origin, oauth2(server, secret));
  const proxy = await startBreakwater(config(SECRET), { clock });
  const get = async () => (await fetch(`${proxy.url}/api/x`)).status;
  expect(await get()).toBe(200);
  proxy.rewrite(config('a-wrong-secret'));
  await proxy.app.reload();
  expect([await get(), server.granted]).toEqual([200, 1]);
  await clock.advance(600_000);
  expect(await get()).toBe(502);
  proxy.rewrite(config(SECRET));
  await proxy.app.reload();
  // Requests were held off because of the wrong secret.
  expect([await get(), server.granted]).toEqual([200, 2]);
});

test.each(['client_secret_post', 'private_key_jwt'])('%s', async (method) => {
  const { pem, jwk } = assertionKey();
  const client = { client_id: 'app', token_endpoint_auth_method: method };
  const server = await startAuthorizationServer({
    clients: [
      method === 'private_key_jwt'
        ? { ...client, jwks: { keys: [jwk] } }
        : { ...client, client_secret: SECRET },
    ],
  });
  const origin = await startOrigin(server.api);
  const how =
    method === 'private_key_jwt'
      ? `private_key: "${pem.replaceAll('\n', '\\n')}", key_id: k1`
      : `client_secret: ${SECRET}, client_auth: post`;
  const proxy = await startTidy(
    apiConfig(
      origin,
      `    auth: { oauth2: { token_url: "${server.tokenUrl}", client_id: app, ${how}, scope: [read, write], allow_private: true } }\n`,
    ),
  );
  const reply = await fetch(`${proxy.url}/api/x`);
  expect([reply.status, await reply.text()]).toEqual([200, 'read write']);
});

test('a durable request waits while there is no token, and is sent with one', async () => {
  const server = await startAuthorizationServer();
  const origin = await startOrigin(server.api);
  const store = join(temporaryFolder(), 'store.db');
  const client = await startDurable(durableConfig(origin, { store, more: oauth2(server, 'wrong') }));
  const location = await client.accepted();
  await client.until(location, ({ next }) => next?.reason === 'auth');
  expect(origin.requests.length).toBe(0);
  client.proxy.rewrite(durableConfig(origin, { store, more: oauth2(server) }));
  await client.proxy.app.reload();
  const [id] = location.split('/').slice(-1);
  expect((await client.admin('POST', `/requests/${id}/retry`)).status).toBe(202);
  await client.until(location, ({ status }) => status === 'succeeded');
  expect(origin.requests.length).toBe(1);
  await client.proxy.app.stop(0);
  const bytes = readFileSync(store, 'latin1');
  for (const secret of [SECRET, ...server.tokens]) expect(bytes).not.toContain(secret);
});
