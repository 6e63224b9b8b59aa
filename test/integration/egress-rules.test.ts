import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { breakwater, temporaryFolder } from '../support/command.ts';
import { ok, reset, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { startTidy } from '../support/tidy.ts';

const ALLOW = '    allow: [ "GET /v1/**", "POST /v1/charges" ]\n';

async function start(more: string) {
  const origin = await startOrigin(ok());
  const proxy = await startTidy(apiConfig(origin, more));
  const send = async (head: string) => {
    const client = await connectRaw(proxy.port);
    await client.send(`${head} HTTP/1.1\r\nhost: x\r\n\r\n`);
    return client.readReply();
  };
  return { origin, proxy, send };
}

describe('the allow-list', () => {
  test('lets pass what is on it, byte for byte', async () => {
    const { origin, send } = await start(ALLOW);
    for (const head of ['GET /api/v1/x%20y?q=1', 'POST /api/v1/charges?expand', 'GET /%61pi/v1'])
      expect((await send(head)).status).toBe(200);
    expect(origin.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'GET /v1/x%20y?q=1',
      'POST /v1/charges?expand',
      'GET /v1',
    ]);
  });

  test('refuses the rest before anything is sent: 403, why, and who says so', async () => {
    const { origin, proxy, send } = await start(ALLOW);
    const reply = await send('DELETE /api/v1/charges/ch_1?token=s3cret');
    expect(reply.status).toBe(403);
    expect(rawHeader(reply, 'proxy-status')).toContain('error=http_request_denied');
    expect(rawHeader(reply, 'breakwater-origin')).toBe('proxy');
    expect(JSON.parse(reply.body.toString())).toMatchObject({
      code: 'egress_denied',
      upstream: 'api',
      detail: "DELETE /v1/charges/ch_1 is not on this upstream's allow-list",
      attempts: 0,
    });
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({ outcome: 'rejected', notes: { rejected: 'egress_denied' } });
    const metrics = await (await fetch(`${proxy.adminUrl}/metrics`)).text();
    expect(metrics).toContain(
      'breakwater_rejected_total{upstream="api",route="default",reason="egress_denied"} 1',
    );
    expect(proxy.logs.at(-1)?.message).toContain('DELETE api/v1/charges/ch_1?… 403 rejected, egress_denied');
    expect(origin.connections).toBe(0);
  });

  test.each([
    'GET /api/v1/../admin',
    'GET /api/v1/%2e%2e/admin',
    'GET /api/v1//../admin',
    'GET /api/v1/..%2Fadmin',
    'GET /api/v1/%252e%252e%252fadmin',
    'GET /api/v1/..;/admin',
    'GET /api/v1/..\\admin',
    'GET /api//v1/x',
    'GET /api/V1/x',
    'get /api/v1/x',
    'HEAD /api/v1/x',
    'POST /api/v1/charges/',
    'POST /api/v1/%63harges/x',
    'GET /api',
  ])('%s does not get around it', async (head) => {
    const { origin, send } = await start(ALLOW);
    expect([400, 403]).toContain((await send(head)).status);
    expect(origin.connections).toBe(0);
  });

  test('nor does a header that names another method or path', async () => {
    const { origin, proxy } = await start(ALLOW);
    const client = await connectRaw(proxy.port);
    const fields = [
      'X-HTTP-Method-Override: DELETE',
      'x-original-url: /admin',
      'x-rewrite-url: /a',
      'x-kept: 1',
    ];
    await client.send(`POST /api/v1/charges HTTP/1.1\r\nhost: x\r\n${fields.join('\r\n')}\r\n\r\n`);
    expect((await client.readReply()).status).toBe(200);
    const names = Object.keys(origin.requests[0]?.headers ?? {});
    expect(names).toContain('x-kept');
    expect(names.filter((name) => /override|original|rewrite/.test(name))).toEqual([]);
  });

  test('nor does a handshake', async () => {
    const { origin, proxy } = await start(ALLOW);
    const client = await connectRaw(proxy.port);
    await client.send(
      'GET /api/ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    );
    expect((await client.readReply()).status).toBe(403);
    expect(origin.connections).toBe(0);
  });

  test('a call that is let through goes on past one that is not, on the same connection', async () => {
    const { proxy } = await start(ALLOW);
    const client = await connectRaw(proxy.port);
    await client.send('GET /api/admin HTTP/1.1\r\nhost: x\r\n\r\n');
    expect((await client.readReply()).status).toBe(403);
    await client.send('GET /api/v1 HTTP/1.1\r\nhost: x\r\n\r\n');
    expect((await client.readReply()).status).toBe(200);
  });
});

test('a route has its own header rules in addition to those of its upstream', async () => {
  const { origin, proxy } = await start(
    [
      '    headers: { set: { authorization: Bearer a, x-team: core }, remove: [x-internal] }',
      '    routes:',
      '      - match: { path: /admin/** }',
      '        headers: { set: { Authorization: Bearer b }, remove: [x-team, cookie] }\n',
    ].join('\n'),
  );
  for (const path of ['x', 'admin/x']) {
    const headers = { authorization: 'mine', cookie: 'c=1', 'x-internal': '1', 'x-team': 'mine' };
    await fetch(`${proxy.url}/api/${path}`, { headers });
  }
  const seen = origin.requests.map(({ headers }) =>
    ['authorization', 'x-team', 'cookie', 'x-internal'].map((name) => headers[name]),
  );
  expect(seen).toEqual([
    ['Bearer a', 'core', 'c=1', undefined],
    ['Bearer b', undefined, undefined, undefined],
  ]);
});

test('a secret that a file brought in is sent to the upstream and stands nowhere else', {
  timeout: 30_000,
}, async () => {
  const secret = 'sk_live_4242aa';
  const encoded = Buffer.from(`${secret}:${secret}`).toString('base64');
  const hook = 'T0SECRETPATH';
  const origin = await startOrigin(status(500), reset(), ok());
  const folder = temporaryFolder({
    key: `${secret}\n`,
    hook: hook,
    'config.yaml': `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
log: { level: debug, requests: all }
upstreams:
  api:
    url: ${origin.url}/\${file:hook}
    allow_private: true
    allow: [ "GET /**" ]
    headers: { set: { authorization: "Bearer \${file:key}", x-plain: "\${file:key}" } }
    retry: { attempts: 2, backoff: { base: 0ms, overloaded_base: 0ms } }
    routes:
      - { match: { path: /r }, headers: { set: { x-route: "\${file:key}" } } }
      - { match: { path: /fb }, fallback: { upstream: api2, headers: { set: { x-mode: "\${file:key}" } } } }
      - { match: { path: /st }, fallback: { reply: { status: 200, headers: { x-text: "\${file:key}" }, body: "\${file:key}" } } }
  api2: { url: "${origin.url}", allow_private: true }
  maps: { url: "${origin.url}", allow_private: true, auth: { query: { key: "\${file:key}" } } }
  sms: { url: "${origin.url}", allow_private: true, auth: { basic: { user: "\${file:key}", password: "\${file:key}" } } }
`,
  });
  const file = join(folder, 'config.yaml');
  const running = breakwater('start', '--config', file);
  const [, url] = await running.untilPrinted(/listening on (http:[^"]+)/);
  const [, admin] = await running.untilPrinted(/"admin":"(http:[^"]+)"/);
  const replies: string[] = [];
  const askFor = async (path: string, init: RequestInit = {}) => {
    const reply = await fetch(path, init);
    replies.push(JSON.stringify([...reply.headers]), await reply.text());
    return reply.status;
  };
  expect(await askFor(`${url}/api/r`)).toBe(502);
  expect(await askFor(`${url}/api/x`)).toBe(200);
  expect(await askFor(`${url}/api/x`, { method: 'POST' })).toBe(403);
  for (const path of ['maps/x?q=1', 'sms/x']) expect(await askFor(`${url}/${path}`)).toBe(200);
  await origin.close();
  expect(await askFor(`${url}/api/r?x`)).toBe(502);
  for (const path of ['/api/state', '/api/config', '/metrics']) expect(await askFor(admin + path)).toBe(200);
  const explanations = ['api/r', 'api/fb', 'api/st', 'maps/x', 'sms/x'].map((path) =>
    breakwater('explain', 'GET', `/${path}`, '--config', file),
  );
  for (const explained of explanations) expect(await explained.ended()).toBe(0);
  const denied = breakwater('explain', 'POST', '/api/r', '--config', file);
  expect([await denied.ended(), denied.err]).toEqual([
    1,
    "POST /api/r: POST /r is not on this upstream's allow-list\n",
  ]);
  running.child.kill('SIGTERM');
  await running.ended();

  expect(
    origin.requests.map(({ url: target, headers }) => [target, headers.authorization, headers['x-plain']]),
  ).toEqual([
    ...['r', 'r', 'x'].map((path) => [`/${hook}/${path}`, `Bearer ${secret}`, secret]),
    [`/x?q=1&key=${secret}`, undefined, undefined],
    ['/x', `Basic ${encoded}`, undefined],
  ]);
  expect(origin.requests[0]?.headers['x-route']).toBe(secret);
  const everywhere = [
    ...replies,
    running.out,
    running.err,
    ...explanations.flatMap(({ out, err }) => [out, err]),
  ].join('\n');
  const keys = ['headers.set.x-route', 'fallback.headers.set.x-mode', 'fallback.reply.body', 'allow'];
  for (const key of [...keys, 'auth.query.key', 'auth.basic.user', 'auth.basic.password'])
    expect(everywhere).toContain(key);
  expect(running.out).toContain('"path":"/r?…"');
  expect(everywhere).not.toContain(secret);
  expect(everywhere).not.toContain(encoded);
  expect(everywhere).not.toContain(hook);
});
