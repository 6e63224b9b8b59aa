import { once } from 'node:events';
import { request } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { ask, connectHttp2 } from '../support/http2-client.ts';
import { ok, startOrigin } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';

/* A route that adds a credential is for apps. Pages in a browser on the same machine reach the port too. */

const config = (origin: { url: string }, clients = '') => `
clients: { http2: true${clients} }
upstreams:
  pay:
    url: "${origin.url}"
    allow_private: true
    headers: { set: { authorization: Bearer sk_live_1 } }
  free: { url: "${origin.url}", allow_private: true }
`;

async function start(clients = '') {
  const origin = await startOrigin(ok('paid'));
  return { origin, proxy: await startBreakwater(config(origin, clients)) };
}

async function raw(proxy: Breakwater, target: string, ...fields: string[]) {
  const client = await connectRaw(proxy.port);
  await client.send(`POST ${target} HTTP/1.1\r\n${fields.join('\r\n')}\r\ncontent-length: 0\r\n\r\n`);
  const reply = await client.readReply();
  return { status: reply.status, body: reply.body.toString() };
}

const FORM = ['host: localhost:8080', 'origin: https://evil.example', 'sec-fetch-site: cross-site'];

test('the form of a foreign page and a rebound Host are refused, and nothing is sent', async () => {
  const { origin, proxy } = await start();
  const refused = await raw(proxy, '/pay/charges', ...FORM);
  expect(refused.status).toBe(403);
  expect(JSON.parse(refused.body)).toMatchObject({ code: 'client_forbidden', title: 'Client not allowed' });
  expect(refused.body).toContain('clients.browsers: allow');
  const rebound = await raw(proxy, '/pay/charges', 'host: evil.example', 'origin: http://evil.example');
  expect(rebound.status).toBe(403);
  expect(rebound.body).toContain('clients.allowed_hosts');
  expect(refused.body + rebound.body).not.toContain('sk_live');
  expect(origin.requests).toHaveLength(0);
  expect((await proxy.untilEnded(2))[0]).toMatchObject({
    outcome: 'rejected',
    notes: { rejected: 'client_forbidden' },
  });
  const metrics = await (await request(`${proxy.adminUrl}/metrics`)).body.text();
  expect(metrics).toContain(
    'breakwater_rejected_total{upstream="pay",route="default",reason="client_forbidden"} 2',
  );
});

test('apps are served, and so are all clients if no credential is added', async () => {
  const { proxy } = await start();
  expect((await raw(proxy, '/pay/charges', 'host: 127.0.0.1')).status).toBe(200);
  expect((await raw(proxy, '/pay/charges', 'host: breakwater')).status).toBe(200);
  expect((await raw(proxy, '/free/charges', ...FORM)).status).toBe(200);
  expect((await raw(proxy, '/free/charges', 'host: evil.example')).status).toBe(200);
});

test('the host of an absolute target counts, not the field', async () => {
  const { proxy } = await start();
  expect((await raw(proxy, 'http://evil.example/pay/x', 'host: localhost')).status).toBe(403);
  expect((await raw(proxy, 'http://localhost/pay/x', 'host: evil.example')).status).toBe(200);
});

test('clients.allowed_hosts and clients.browsers allow it, also after a reload', async () => {
  const { origin, proxy } = await start();
  proxy.rewrite(config(origin, ', browsers: allow, allowed_hosts: app.example'));
  await proxy.app.reload();
  expect((await raw(proxy, '/pay/charges', ...FORM)).status).toBe(200);
  expect((await raw(proxy, '/pay/charges', 'host: APP.example:80')).status).toBe(200);
  expect((await raw(proxy, '/pay/charges', 'host: evil.example')).status).toBe(403);
});

describe('HTTP/2', () => {
  test('is checked by :authority and the same fields', async () => {
    const { proxy } = await start();
    const client = connectHttp2(proxy.url);
    const of = async (more: object) => (await ask(client, { ':path': '/pay/charges', ...more })).status;
    expect(await of({})).toBe(200);
    expect(await of({ ':authority': 'evil.example' })).toBe(403);
    expect(await of({ 'sec-fetch-site': 'cross-site' })).toBe(403);
  });
});

test('the WebSocket of a foreign page is refused', async () => {
  const { origin, proxy } = await start();
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/pay/live`, { origin: 'https://evil.example' });
  onTestFinished(() => socket.terminate());
  socket.on('error', () => undefined);
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
  expect(response.statusCode).toBe(403);
  expect(origin.connections).toBe(0);
});
