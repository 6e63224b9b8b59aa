import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { headerOf } from '../../src/http/headers.ts';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { ask, connectHttp2 } from '../support/http2-client.ts';
import { ok, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';

/* The apps that connect are known by a token (`clients.tokens`). */

const WEB = 'web-token-0123456789';
const BATCH = 'batch-token-0123456789';
const TOKENS = `
    - { name: web, token: ${WEB} }
    - { name: batch, token: [${BATCH}, batch-token-before-0123], allow: [geo] }`;

const config = (origin: { url: string }, tokens = TOKENS) => `
log: { requests: all }
clients:
  http2: true
  tokens:${tokens}
upstreams:
  pay: { url: "${origin.url}", allow_private: true, headers: { set: { authorization: Bearer sk_live_1 } } }
  geo: { url: "${origin.url}", allow_private: true }
`;

async function start() {
  const origin = await startOrigin(ok('paid'));
  return { origin, proxy: await startBreakwater(config(origin)) };
}

async function raw(proxy: Breakwater, head: string, ...fields: string[]) {
  const client = await connectRaw(proxy.port);
  await client.send(
    `${head} HTTP/1.1\r\nhost: localhost\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`,
  );
  return client.readReply();
}

const metricsOf = async ({ adminUrl }: Breakwater) => (await fetch(`${adminUrl}/metrics`)).text();
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

test('a client with a token is served, and the upstream does not get it', async () => {
  const { origin, proxy } = await start();
  const reply = await fetch(`${proxy.url}/pay/x`, { headers: { 'Breakwater-Token': WEB } });
  expect(reply.status).toBe(200);
  for (const value of [`Bearer ${WEB}`, basic(`web:${WEB}`), basic(`:${WEB}`)])
    expect((await raw(proxy, 'GET /pay/x', `proxy-authorization: ${value}`)).status).toBe(200);
  expect(origin.requests).toHaveLength(4);
  expect(JSON.stringify(origin.requests)).not.toContain(WEB);
  expect((await proxy.untilEnded(1))[0]?.info.clientName).toBe('web');
  expect(proxy.logs.at(-1)?.fields).toMatchObject({ client_name: 'web' });
  const counted = await metricsOf(proxy);
  expect(counted).toContain('method="GET",status="200",outcome="ok",client="web"} 4');
  expect(counted).not.toContain('client="batch"');
});

const UNKNOWN: readonly (readonly [name: string, status: number, fields: readonly string[]])[] = [
  ['no token', 401, []],
  ['another token', 401, ['breakwater-token: web-token-0123456788']],
  ['an empty token', 401, ['breakwater-token: ']],
  ['a token with a space', 401, [`breakwater-token: ${WEB} ${WEB}`]],
  ['two different tokens', 401, [`breakwater-token: ${WEB}`, `breakwater-token: ${BATCH}`]],
  ['a token in another header', 401, [`authorization: Bearer ${WEB}`]],
  [
    'the credential of another proxy',
    407,
    [`proxy-authorization: ${basic('me:secret-of-the-egress-proxy')}`],
  ],
  ['Basic without a colon', 407, [`proxy-authorization: ${basic(WEB)}`]],
  ['another scheme', 407, [`proxy-authorization: Digest ${WEB}`]],
];

test.each(UNKNOWN)(
  '%s: %i, nothing leaves, and nothing is counted for the upstream',
  async (_, code, fields) => {
    const { origin, proxy } = await start();
    const reply = await raw(proxy, 'GET /pay/x', ...fields);
    expect(reply.status).toBe(code);
    const problem = JSON.parse(reply.body.toString()) as object;
    expect(problem).toMatchObject({
      status: code,
      code: code === 401 ? 'client_unknown' : 'proxy_auth_unknown',
    });
    expect(problem).not.toHaveProperty('upstream');
    const challenge = code === 401 ? 'www-authenticate' : 'proxy-authenticate';
    expect(headerOf(reply.rawHeaders, challenge)).toContain('realm="breakwater"');
    expect(origin.connections).toBe(0);
    await proxy.untilEnded(1);
    const metrics = await metricsOf(proxy);
    expect(metrics).not.toMatch(/_total\{upstream="pay"/);
    expect(metrics).toContain('breakwater_rejected_total{upstream="",route=""');
  },
);

test('a valid token counts, whatever is in Proxy-Authorization', async () => {
  const { proxy } = await start();
  const other = `proxy-authorization: ${basic('me:secret-of-the-egress-proxy')}`;
  expect((await raw(proxy, 'GET /pay/x', other, `breakwater-token: ${WEB}`)).status).toBe(200);
});

test('no part of a token is in logs, errors, metrics, state or the admin API', async () => {
  const { proxy } = await start();
  const wrong = await raw(proxy, 'GET /pay/x', `breakwater-token: ${WEB}x`);
  const broken = await raw(proxy, `GET /pay/%zz/../../..`, `breakwater-token: ${WEB}`);
  await raw(proxy, 'GET /pay/x', `breakwater-token: ${WEB}`);
  await proxy.untilEnded(3);
  const pages = ['/metrics', '/api/state', '/api/config', '/api/calls', '/api/values'];
  const seen = await Promise.all(pages.map(async (page) => (await fetch(`${proxy.adminUrl}${page}`)).text()));
  const all = [...seen, JSON.stringify(proxy.logs), wrong.body.toString(), broken.body.toString()].join('\n');
  expect(all).toContain('client_name');
  for (const part of [WEB, BATCH, 'web-token', 'batch-token', 'sk_live']) expect(all).not.toContain(part);
});

test('allow: other upstreams get 403, which says what to change', async () => {
  const { origin, proxy } = await start();
  const reply = await raw(proxy, 'GET /pay/x', `breakwater-token: ${BATCH}`);
  expect(reply.status).toBe(403);
  expect(reply.body.toString()).toContain('clients.tokens[].allow');
  expect(origin.connections).toBe(0);
  expect((await raw(proxy, 'GET /geo/x', `breakwater-token: ${BATCH}`)).status).toBe(200);
});

test('a fallback is part of the upstream that it belongs to', async () => {
  const down = await startOrigin(status(503));
  const spare = await startOrigin(ok('spare'));
  const proxy = await startBreakwater(`
clients:
  tokens:${TOKENS}
upstreams:
  geo: { url: "${down.url}", allow_private: true, retry: { attempts: 1 }, fallback: { upstream: pay } }
  pay: { url: "${spare.url}", allow_private: true }
`);
  const reply = await fetch(`${proxy.url}/geo/x`, { headers: { 'breakwater-token': BATCH } });
  expect(await reply.text()).toBe('spare');
  const direct = await fetch(`${proxy.url}/pay/x`, { headers: { 'breakwater-token': BATCH } });
  expect(direct.status).toBe(403);
  expect(JSON.stringify([down.requests, spare.requests])).not.toContain(BATCH);
});

test('/api/state lists the clients without their tokens', async () => {
  const { proxy } = await start();
  const state = (await (await fetch(`${proxy.adminUrl}/api/state`)).json()) as { clients: unknown };
  expect(state.clients).toEqual([
    { name: 'web', priority: 'normal' },
    { name: 'batch', priority: 'normal', allow: ['geo'] },
  ]);
});

test('an unknown client does not learn which paths exist', async () => {
  const { proxy } = await start();
  for (const head of ['GET /nothing', 'OPTIONS *', 'GET /pay/../..', 'OPTIONS /pay/x'])
    expect((await raw(proxy, head)).status).toBe(401);
});

test('a preflight has no token, so it is refused', async () => {
  const { origin, proxy } = await start();
  const preflight = ['origin: http://localhost', 'access-control-request-method: POST'];
  expect((await raw(proxy, 'OPTIONS /pay/x', ...preflight)).status).toBe(401);
  expect(origin.connections).toBe(0);
});

test('foreign pages are refused on a route that adds a credential, even with a token', async () => {
  const { proxy } = await start();
  const page = ['origin: https://evil.example', 'sec-fetch-site: cross-site', `breakwater-token: ${WEB}`];
  expect((await raw(proxy, 'GET /pay/x', ...page)).status).toBe(403);
});

describe('HTTP/2', () => {
  test('needs the same token', async () => {
    const { origin, proxy } = await start();
    const client = connectHttp2(proxy.url);
    expect((await ask(client, { ':path': '/pay/x' })).status).toBe(401);
    expect((await ask(client, { ':path': '/pay/x', 'breakwater-token': BATCH })).status).toBe(403);
    expect(origin.connections).toBe(0);
    expect((await ask(client, { ':path': '/pay/x', 'breakwater-token': WEB })).status).toBe(200);
  });

  test('gRPC gets UNAUTHENTICATED', async () => {
    const { proxy } = await start();
    const grpc = { ':path': '/pay/x', ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
    const reply = await ask(connectHttp2(proxy.url), grpc);
    expect(reply.status).toBe(200);
    expect(reply.headers['grpc-status']).toBe('16');
    expect(reply.headers['grpc-message']).toContain('client_unknown');
  });
});

test('a WebSocket needs the token too', async () => {
  const { origin, proxy } = await start();
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/pay/live`);
  onTestFinished(() => socket.terminate());
  socket.on('error', () => undefined);
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
  expect(response.statusCode).toBe(401);
  expect(origin.connections).toBe(0);
});

test('a reload replaces a token in two steps, and no call is refused in between', async () => {
  const { origin, proxy } = await start();
  const statusOf = async (token: string) =>
    (await fetch(`${proxy.url}/geo/x`, { headers: { 'breakwater-token': token } })).status;
  const reload = async (token: string) => {
    proxy.rewrite(config(origin, `\n    - { name: web, token: ${token} }`));
    expect(await proxy.app.reload()).toMatchObject({ ok: true });
  };
  await reload(`[new-token-0123456789, ${WEB}]`);
  expect([await statusOf('new-token-0123456789'), await statusOf(WEB)]).toEqual([200, 200]);
  await reload('new-token-0123456789');
  expect([await statusOf('new-token-0123456789'), await statusOf(WEB)]).toEqual([200, 401]);
});

test('a reload removes the series of clients that are gone', async () => {
  const { origin, proxy } = await start();
  const send = async () => fetch(`${proxy.url}/geo/x`, { headers: { 'breakwater-token': BATCH } });
  await (await send()).text();
  await proxy.untilEnded(1);
  expect(await metricsOf(proxy)).toContain('client="batch"} 1');
  proxy.rewrite(config(origin, `\n    - { name: jobs, token: ${BATCH} }`));
  await proxy.app.reload();
  expect(await metricsOf(proxy)).not.toContain('client="batch"');
  await (await send()).text();
  await proxy.untilEnded(2);
  expect(await metricsOf(proxy)).toContain('client="jobs"} 1');
});

test('without tokens all clients are served, and no name is recorded', async () => {
  const { origin, proxy } = await start();
  proxy.rewrite(config(origin, ' []'));
  await proxy.app.reload();
  const reply = await fetch(`${proxy.url}/pay/x`, { headers: { 'breakwater-token': 'anything' } });
  expect(reply.status).toBe(200);
  expect(JSON.stringify(origin.requests)).not.toContain('anything');
  expect((await proxy.untilEnded(1))[0]?.info.clientName).toBeUndefined();
  expect(await metricsOf(proxy)).not.toContain('client=');
});
