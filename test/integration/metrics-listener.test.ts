import { request } from 'node:http';
import { connect } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { apiConfig, type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, ok, startOrigin } from '../support/origin.ts';

const ADMIN_TOKEN = 'the-token-of-the-operator';

/** Status and body of a request to the listener of `metrics`. */
function ask(
  { app }: Breakwater,
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: string; headers: Readonly<Record<string, unknown>> }> {
  return new Promise((resolve, reject) => {
    const req = request(app.metricsUrl + path, { method, headers, agent: false }, (res) => {
      let body = '';
      res.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      res.on('end', () => resolve({ status: res.statusCode ?? 0, body, headers: res.headers }));
    });
    req.on('error', reject).end();
  });
}

const start = async (metrics: string) =>
  startBreakwater(`admin_token: ${ADMIN_TOKEN}\nmetrics: ${metrics}\n${apiConfig(await startOrigin(ok()))}`);

test('metrics and probes need no admin token, and nothing else is there', async () => {
  const proxy = await start('127.0.0.1:0');
  await (await fetch(`${proxy.url}/api/`)).text();
  const metrics = await ask(proxy, '/metrics');
  expect(metrics.status).toBe(200);
  expect(metrics.body).toContain('breakwater_requests_total{upstream="api"');
  expect(await ask(proxy, '/healthz')).toMatchObject({ status: 200, body: 'ok\n' });
  expect(await ask(proxy, '/readyz')).toMatchObject({ status: 200, body: 'ready\n' });
  const authorization = `Bearer ${ADMIN_TOKEN}`;
  for (const path of ['/', '/api/state', '/api/live', '/api/calls', '/api/config', '/_breakwater/requests'])
    expect([path, (await ask(proxy, path, { headers: { authorization } })).status]).toEqual([path, 404]);
  for (const path of ['/api/reload', '/api/upstreams/api/breaker'])
    expect((await ask(proxy, path, { method: 'POST', headers: { authorization } })).status).toBe(404);
  expect((await ask(proxy, '/metrics', { method: 'POST' })).status).toBe(405);
});

test('without the key there is no such listener', async () => {
  const proxy = await startBreakwater(apiConfig(await startOrigin(ok())));
  expect(proxy.app.metricsUrl).toBe('');
});

test('with a token of its own, the admin token does not open it; probes need none', async () => {
  const proxy = await start('{ listen: "127.0.0.1:0", token: the-token-of-prometheus }');
  const withToken = (token: string) =>
    ask(proxy, '/metrics', { headers: { authorization: `Bearer ${token}` } });
  const refused = await ask(proxy, '/metrics');
  expect(refused.status).toBe(401);
  expect(refused.headers['www-authenticate']).toBe('Bearer realm="breakwater metrics"');
  expect((await withToken(ADMIN_TOKEN)).status).toBe(401);
  expect((await withToken('the-token-of-prometheus')).status).toBe(200);
  expect((await ask(proxy, '/readyz')).status).toBe(200);
  // And the other way: the token of Prometheus is not one of an operator.
  const state = await fetch(`${proxy.adminUrl}/api/state`, {
    headers: { authorization: 'Bearer the-token-of-prometheus' },
  });
  expect(state.status).toBe(401);
  await state.text();
});

test('web pages cannot read the metrics, and on loopback a rebound Host cannot either', async () => {
  const proxy = await start('127.0.0.1:0');
  expect((await ask(proxy, '/metrics', { headers: { origin: 'http://evil.example' } })).status).toBe(403);
  expect((await ask(proxy, '/metrics', { headers: { host: 'evil.example' } })).status).toBe(421);
});

test('in a network, Prometheus may use any name', async () => {
  const proxy = await start('0.0.0.0:0');
  expect((await ask(proxy, '/metrics', { headers: { host: 'breakwater.shop.svc:9090' } })).status).toBe(200);
});

test('it answers until the end of a drain, not ready', async () => {
  const origin = await startOrigin(hang());
  const clock = new FakeClock();
  const proxy = await startBreakwater(`metrics: 127.0.0.1:0\ndrain_delay: 5s\n${apiConfig(origin)}`, {
    clock,
  });
  const left = proxy.app.leave();
  expect(await ask(proxy, '/readyz')).toMatchObject({ status: 503, body: 'leaving\n' });
  await clock.advance(5_000);
  expect(await ask(proxy, '/readyz')).toMatchObject({ status: 503, body: 'draining\n' });
  expect((await ask(proxy, '/metrics')).status).toBe(200);
  await clock.advance(1_000);
  await left;
  await expect(ask(proxy, '/readyz')).rejects.toThrow('ECONNREFUSED');
});

test('connections above its limit are closed, and calls go on', async () => {
  const proxy = await start('127.0.0.1:0');
  const port = Number(new URL(proxy.app.metricsUrl).port);
  const held = Array.from({ length: 100 }, () => connect(port, '127.0.0.1'));
  await Promise.all(held.map((socket) => once(socket, 'connect')));
  const extra = connect(port, '127.0.0.1').resume();
  await once(extra, 'close');
  expect((await fetch(`${proxy.url}/api/`)).status).toBe(200);
  for (const socket of held) socket.destroy();
});

test('/readyz?verbose counts the problems of a refused reload, and names none of them', async () => {
  const proxy = await start('127.0.0.1:0');
  const before = await ask(proxy, '/readyz?verbose');
  expect(before.body).toMatch(/^ready\nversion: test\nconfiguration loaded: \S+Z\nrefused reload: none\n$/);
  proxy.rewrite('retires: 3\nupstreams: { api: { url: "https://secret.example.com", timeout: 3 } }');
  await proxy.app.reload();
  const after = await ask(proxy, '/readyz?verbose');
  expect(after.status).toBe(200);
  expect(after.body).toMatch(/^ready\n[^]*refused reload: \S+Z, problems: 2; /);
  expect(after.body).not.toContain('retires');
  expect((await ask(proxy, '/readyz')).body).toBe('ready\n');
});

test('a changed address is not followed, and the log says so', async () => {
  const proxy = await start('127.0.0.1:0');
  const url = proxy.app.metricsUrl;
  proxy.rewrite(apiConfig(await startOrigin(ok())));
  await proxy.app.reload();
  expect(proxy.app.metricsUrl).toBe(url);
  expect((await ask(proxy, '/healthz')).status).toBe(200);
  expect(proxy.logs.map(({ message }) => message).join('\n')).toContain(
    'changes of listen, admin and metrics',
  );
});
