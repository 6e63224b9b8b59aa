import { describe, expect, test } from 'vitest';
import { apiConfig } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, ok, startOrigin } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { refusingOrigin } from '../support/raw-origin.ts';
import { startTidy } from '../support/tidy.ts';

async function call(config: string, request: string, clock?: FakeClock) {
  const proxy = await startTidy(config, clock === undefined ? {} : { clock });
  const client = await connectRaw(proxy.port);
  await client.send(request);
  return { proxy, client };
}

const get = (target: string, headers = '') => `GET ${target} HTTP/1.1\r\nhost: app.local\r\n${headers}\r\n`;

test('errors of the proxy are problem+json with all members, and the connection stays open', async () => {
  const { client, proxy } = await call(apiConfig(await refusingOrigin()), get('/api/v1/x?secret=1'));
  const reply = await client.readReply();
  expect(reply.startLine).toBe('HTTP/1.1 502 Bad Gateway');
  const body = JSON.parse(reply.body.toString());
  expect(body).toMatchObject({
    type: 'about:blank',
    title: 'Upstream refused the connection',
    status: 502,
    code: 'connection_refused',
    upstream: 'api',
    route: 'default',
    attempts: 3,
    gave_up: 'attempts',
  });
  expect(rawHeader(reply, 'content-type')).toBe('application/problem+json');
  expect(rawHeader(reply, 'content-length')).toBe(String(reply.body.length));
  expect(rawHeader(reply, 'proxy-status')).toMatch(
    /^breakwater; error=connection_refused; details=".*; attempts=3; gave_up=attempts"$/,
  );
  expect(rawHeader(reply, 'breakwater-attempts')).toBe('3');
  expect(rawHeader(reply, 'breakwater-origin')).toBe('proxy');
  expect(rawHeader(reply, 'breakwater-gave-up')).toBe('attempts');
  await client.send(get('/nowhere'));
  expect((await client.readReply()).status).toBe(404);
  expect(proxy.ended[0]).toMatchObject({
    status: 502,
    origin: 'proxy',
    outcome: 'failed',
    error: 'connection_refused',
  });
});

describe('requests that never reach an upstream', () => {
  test.each([
    ['no mount', get('/nowhere'), 404, ['route_not_found', 'destination_not_found']],
    ['a climbing path', get('/api/%2e%2e/admin'), 400, ['bad_request', 'http_request_error']],
    [
      'an absolute target of another scheme',
      get('ftp://example.com/api'),
      400,
      ['bad_request', 'http_request_error'],
    ],
    ['an asterisk that is no OPTIONS', get('*'), 400, ['bad_request', 'http_request_error']],
  ])('%s', async (_name, request, status, [code, error]) => {
    const origin = await startOrigin(ok());
    const { client, proxy } = await call(apiConfig(origin), request);
    const reply = await client.readReply();
    expect(reply.status).toBe(status);
    expect(JSON.parse(reply.body.toString())).toMatchObject({ code, attempts: 0 });
    expect(rawHeader(reply, 'proxy-status')).toContain(`error=${error};`);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'rejected', attempts: 0 });
    expect(origin.connections).toBe(0);
  });

  test.each([
    ['two lengths', 'content-length: 1\r\ncontent-length: 2\r\n'],
    ['length and chunks', 'content-length: 1\r\ntransfer-encoding: chunked\r\n'],
    ['a folded field', 'x-one: 1\r\n two\r\n'],
    ['a space before the colon', 'x-one : 1\r\n'],
    ['chunks that are not last', 'transfer-encoding: chunked, identity\r\n'],
  ])('an ambiguous request: %s', async (_name, headers) => {
    const origin = await startOrigin(ok());
    const { client } = await call(apiConfig(origin), `POST /api/ HTTP/1.1\r\nhost: x\r\n${headers}\r\nx`);
    const reply = await client.readReply();
    expect(reply.status).toBe(400);
    expect(rawHeader(reply, 'content-type')).toBe('application/problem+json');
    await client.untilClosed();
    expect(origin.connections).toBe(0);
  });

  test('a head that is too large', async () => {
    const origin = await startOrigin(ok());
    const { client } = await call(apiConfig(origin), get('/api/', `x-large: ${'a'.repeat(100_000)}\r\n`));
    expect((await client.readReply()).status).toBe(431);
    expect(origin.connections).toBe(0);
  });
});

test('malformed bytes during a response are not answered in the middle of it', async () => {
  let finish = () => {};
  const origin = await startOrigin(({ response }) => {
    response.writeHead(200, { 'content-length': 8 });
    response.write('part');
    finish = () => response.end('rest');
  });
  const { client } = await call(apiConfig(origin), get('/api/'));
  await client.untilText('part');
  await client.send('this is no HTTP\r\n\r\n');
  finish();
  expect((await client.readReply()).body.toString()).toBe('partrest');
  await client.untilClosed();
  expect(client.received.toString().match(/HTTP\/1\.1/g)).toHaveLength(1);
});

test('a mount by Host serves all paths', async () => {
  const origin = await startOrigin(ok('by host'));
  const config = `upstreams:\n  shop:\n    url: ${origin.url}/base\n    allow_private: true\n    mount: { host: shop.local }\n`;
  const { client } = await call(config, 'GET /v1?x HTTP/1.1\r\nhost: SHOP.local:8080\r\n\r\n');
  expect((await client.readReply()).body.toString()).toBe('by host');
  expect(origin.requests[0]?.url).toBe('/base/v1?x');
  await client.send(get('/v1'));
  expect((await client.readReply()).status).toBe(404);
});

describe('idempotency keys', () => {
  const post = (headers: string) => `POST /api/ HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n${headers}\r\n`;
  const config = (origin: { url: string }, mode: string) =>
    apiConfig(origin, `    retry: { idempotency_key: ${mode} }\n`);

  test('required and missing: refused before an attempt', async () => {
    const origin = await startOrigin(ok());
    const { client } = await call(config(origin, 'require'), post(''));
    const reply = await client.readReply();
    expect([reply.status, JSON.parse(reply.body.toString()).code]).toEqual([400, 'idempotency_key_required']);
    await client.send(post('Idempotency-Key: k\r\n'));
    expect((await client.readReply()).status).toBe(200);
    expect(origin.requests.length).toBe(1);
  });

  test('injected: one per call, the same on each attempt, and only if the call needs it', async () => {
    const origin = await startOrigin(({ request, response, body }) =>
      body().then(() => void response.writeHead(request.url === '/' ? 503 : 200).end()),
    );
    const { client } = await call(config(origin, 'inject'), post(''));
    await client.readReply();
    await client.send(post('idempotency-KEY: mine\r\n'));
    await client.readReply();
    await client.send(get('/api/'));
    await client.readReply();
    const keys = origin.requests.map(({ headers }) => headers['idempotency-key']);
    expect(keys[0]).toMatch(/.{8,}/);
    expect(keys).toEqual([
      keys[0],
      keys[0],
      keys[0],
      'mine',
      'mine',
      'mine',
      undefined,
      undefined,
      undefined,
    ]);
    await client.send(post(''));
    await client.readReply();
    expect(origin.requests.at(-1)?.headers['idempotency-key']).not.toBe(keys[0]);
  });

  test('an empty one counts as missing, and is replaced', async () => {
    const origin = await startOrigin(ok());
    const { client } = await call(config(origin, 'inject'), post('Idempotency-Key: \r\n'));
    await client.readReply();
    expect(origin.requests[0]?.rawHeaders.filter((name) => /^idempotency-key$/i.test(name)).length).toBe(1);
    expect(origin.requests[0]?.headers['idempotency-key']).toMatch(/.{8,}/);
  });
});

test('the whole call has a deadline, waits included, and the upstream is released', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(hang());
  const { client, proxy } = await call(
    apiConfig(origin, '    timeouts: { attempt: 40s, total: 30s }\n'),
    get('/api/'),
    clock,
  );
  await origin.untilRequests(1);
  await clock.advance(29_999);
  expect(proxy.ended.length).toBe(0);
  await clock.advance(1);
  const reply = await client.readReply();
  expect([reply.status, JSON.parse(reply.body.toString()).code]).toEqual([504, 'deadline_exceeded']);
  expect(rawHeader(reply, 'proxy-status')).toContain('error=http_response_timeout');
  await origin.until(({ openConnections }) => openConnections === 0);
});
