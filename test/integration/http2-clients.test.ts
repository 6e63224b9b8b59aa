import { once } from 'node:events';
import { constants } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { describe, expect, test } from 'vitest';
import { apiConfig, startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ask, connectHttp2 } from '../support/http2-client.ts';
import { framesIn, TYPE } from '../support/http2-frames.ts';
import { hang, ok, type Step, startOrigin, status } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { answer, truncate } from '../support/raw-steps.ts';
import { startTidy, untilState } from '../support/tidy.ts';
import { CA, pem } from '../support/tls.ts';

const ON = 'clients: { http2: true }\n';
const TLS = `tls: ${JSON.stringify(pem('server'))}\n`;
const POST = { ':method': 'POST', ':path': '/api/things?q=%2F', 'content-type': 'application/json' };

describe.each(['h2c', 'TLS'])('a client of HTTP/2 by %s', (how) => {
  const start = async (origin: { url: string }, more = '') => {
    const proxy = await startTidy(`${how === 'TLS' ? TLS : ''}${ON}${apiConfig(origin, more)}`);
    return { proxy, client: connectHttp2(proxy.url) };
  };

  test('gets a trailer whatever its name', async () => {
    const origin = await startOrigin(({ response }) => {
      response.writeHead(200, { trailer: 'constructor' });
      response.addTrailers([['constructor', 'x']]);
      response.end('whole');
    });
    const { client } = await start(origin);
    const answered = await ask(client, { ':path': '/api/things', te: 'trailers' });
    expect(answered).toMatchObject({ status: 200, body: 'whole', trailers: ['constructor', 'x'], reset: 0 });
  });

  test('is served like an HTTP/1.1 client: retries, fields, body', async () => {
    const origin = await startOrigin(
      status(503),
      ok('{"a":1}', { 'x-twice': ['1', '2'], ...({ age: ['3', '4'] } as object), etag: '"x"' }),
    );
    const { client } = await start(origin);
    const reply = await ask(client, { ':path': '/api/a%2Fb//c?q=+1', 'x-app': 'yes', te: 'trailers' });
    expect(reply).toMatchObject({ status: 200, body: '{"a":1}', reset: 0 });
    expect(reply.fields.join('|')).toContain('x-twice|1|x-twice|2|age|3|age|4');
    expect(reply.headers).toMatchObject({
      'breakwater-attempts': '2',
      'breakwater-origin': 'upstream',
      via: '1.1 breakwater',
      etag: '"x"',
    });
    expect(reply.headers).not.toHaveProperty('connection');
    expect(origin.requests[1]).toMatchObject({ method: 'GET', url: '/a%2Fb//c?q=+1' });
    expect(origin.requests[1]?.headers).toMatchObject({ 'x-app': 'yes', host: `127.0.0.1:${origin.port}` });
    expect(origin.requests[1]?.rawHeaders.join('|')).not.toContain('|:');
  });

  test('sends bodies, with or without a length', async () => {
    const origin = await startOrigin(async ({ body, response }) => void response.end(await body()));
    const { client } = await start(origin);
    const large = 'x'.repeat(1_000_000);
    expect((await ask(client, { ...POST, 'content-length': 7 }, '{"a":1}')).body).toBe('{"a":1}');
    expect((await ask(client, POST, large)).body).toBe(large);
    expect((await ask(client, { ...POST, 'content-length': 0 }, '')).body).toBe('');
    expect(origin.requests.map(({ headers }) => headers['content-length'])).toEqual(['7', undefined, '0']);
    expect(origin.requests[1]?.headers['transfer-encoding']).toBe('chunked');
    expect(origin.requests[0]?.url).toBe('/things?q=%2F');
  });

  test('gets errors of the proxy as problem+json', async () => {
    const origin = await startOrigin(hang());
    const { client } = await start(origin, '    retry: off\n    timeouts: { total: 50ms }\n');
    expect(await ask(client, { ':path': '/nowhere' })).toMatchObject({
      status: 404,
      headers: { 'content-type': 'application/problem+json', 'breakwater-origin': 'proxy' },
    });
    const late = await ask(client, POST, 'x');
    expect(late).toMatchObject({ status: 504, reset: 0 });
    expect(JSON.parse(late.body)).toMatchObject({ code: 'deadline_exceeded', attempts: 1 });
  });

  test('HEAD, 204 and 304 have only a head', async () => {
    const origin = await startOrigin(ok('hello', { 'content-length': 5 }), status(204), status(304));
    const { client } = await start(origin);
    const head = await ask(client, { ':method': 'HEAD', ':path': '/api/' });
    expect(head).toMatchObject({ status: 200, headOnly: true, body: '', headers: { 'content-length': '5' } });
    expect(await ask(client, { ':path': '/api/' })).toMatchObject({ status: 204, headOnly: true, reset: 0 });
    expect(await ask(client, { ':path': '/api/' })).toMatchObject({ status: 304, headOnly: true, reset: 0 });
  });

  test('gets fields unchanged, except for case and fields not allowed in HTTP/2', async () => {
    const odd =
      'HTTP/1.1 200 OK\r\nX-Latin: caf\xe9\r\nHTTP2-Settings: x\r\nKeep-Alive: x\r\nX-Empty:\r\ncontent-length: 0\r\n\r\n';
    const { client } = await start(await startRawOrigin(answer(Buffer.from(odd, 'latin1'))));
    const reply = await ask(client, { ':path': '/api/' });
    expect(reply).toMatchObject({
      status: 200,
      reset: 0,
      headers: { 'x-latin': 'caf\u00e9', 'x-empty': '' },
    });
    expect(Object.keys(reply.headers)).not.toContain('http2-settings');
  });

  test('gets an error for a status that HTTP/2 does not have', async () => {
    const odd = 'HTTP/1.1 799 Odd\r\ncontent-length: 3\r\n\r\nodd';
    const { client } = await start(await startRawOrigin(answer(odd)));
    const reply = await ask(client, { ':path': '/api/' });
    expect(reply).toMatchObject({ status: 502, headers: { 'breakwater-attempts': '1' } });
    expect(JSON.parse(reply.body)).toMatchObject({ code: 'protocol_error' });
  });

  test('detects a truncated body, and keeps its connection', async () => {
    const origin = await startRawOrigin(truncate(100, 'half of it', 'fin'), answer());
    const { client, proxy } = await start(origin, '    retry: off\n');
    const broken = await ask(client, { ':path': '/api/' });
    expect(broken).toMatchObject({ status: 200, body: 'half of it' });
    expect(broken.reset).toBe(constants.NGHTTP2_INTERNAL_ERROR);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ error: 'response_incomplete' });
    expect((await ask(client, { ':path': '/api/' })).status).toBe(200);
  });

  test('that disconnects during an upload never makes it look complete', async () => {
    const origin = await startOrigin(hang());
    const { client, proxy } = await start(origin);
    const stream = client.request(POST);
    stream.on('error', () => undefined);
    stream.write('half');
    await origin.until(({ requests }) => requests[0]?.body.toString() === 'half');
    client.destroy();
    await origin.until(({ requests }) => requests[0]?.closed === true);
    expect(origin.requests[0]?.complete).toBe(false);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'client_gone', attempts: 1 });
  });

  test.each(['CANCEL', 'NO_ERROR'] as const)(
    'may give a call up (%s), and the others go on',
    async (word) => {
      const origin = await startOrigin(hang(), ok('still here'));
      const { client, proxy } = await start(origin);
      const stream = client.request({ ':path': '/api/' });
      stream.on('error', () => undefined);
      await origin.untilRequests(1);
      stream.close(constants[`NGHTTP2_${word}`]);
      await origin.until(({ requests }) => requests[0]?.closed === true);
      expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'client_gone' });
      expect((await ask(client, { ':path': '/api/' })).body).toBe('still here');
    },
  );
});

describe('on a listener with HTTP/2', () => {
  test('HTTP/1.1 is served, however its first bytes arrive', async () => {
    const origin = await startOrigin(ok('one'), ok('two'), ok('three'));
    const proxy = await startTidy(ON + apiConfig(origin));
    const client = await connectRaw(proxy.port);
    for (const piece of ['P', 'UT /api/1 HTTP/1.1\r\nHost: a', '\r\nContent-Length: 2\r\n\r\nab']) {
      await client.send(piece);
      // Time to be read alone.
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await client.readReply()).body.toString()).toBe('one');
    await client.send('GET /api/2 HTTP/1.1\r\nHost: a\r\n\r\nGET /api/3 HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await client.readReply()).body.toString()).toBe('two');
    expect((await client.readReply()).body.toString()).toBe('three');
    expect(origin.requests.map(({ url }) => url)).toEqual(['/1', '/2', '/3']);
    expect(origin.requests[0]?.body.toString()).toBe('ab');
  });

  test('HTTP/2 is detected by its first bytes, however they arrive', async () => {
    const proxy = await startTidy(ON + apiConfig(await startOrigin()));
    const client = await connectRaw(proxy.port);
    for (const piece of ['PR', 'I * HTTP/2.0\r\n', '\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'])
      await client.send(piece);
    const [settings] = framesIn(await client.untilBytes(9));
    expect(settings).toMatchObject({ type: TYPE.settings, stream: 0 });
    client.abort();
  });

  test('bytes that begin like HTTP/2 but are not are refused', async () => {
    const proxy = await startTidy(ON + apiConfig(await startOrigin()));
    for (const nonsense of ['PRI * HTTP/2.1\r\n\r\n', 'PRI / HTTP/1.1\r\nhost: a\r\n\r\n']) {
      const client = await connectRaw(proxy.port);
      await client.send(nonsense);
      expect((await client.readReply()).status).toBe(400);
    }
    const client = await connectRaw(proxy.port);
    await client.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\rnonsense that is long enough to be checked');
    await client.untilClosed();
    const claimed = await connectRaw(proxy.port);
    await claimed.send('GET /api/ HTTP/2.0\r\nhost: a\r\n\r\n');
    expect((await claimed.readReply()).status).toBe(400);
  });

  test('with TLS, a client without ALPN or with http/1.1 gets HTTP/1.1', async () => {
    const origin = await startOrigin(ok('hello'));
    const proxy = await startTidy(TLS + ON + apiConfig(origin));
    for (const ALPNProtocols of [undefined, ['http/1.1']]) {
      const options = { ca: CA, agent: false, ...(ALPNProtocols && { ALPNProtocols }) };
      const sent = httpsRequest(`${proxy.url.replace('127.0.0.1', 'localhost')}/api/`, options).end();
      const [reply] = await once(sent, 'response');
      expect(reply.httpVersion).toBe('1.1');
      reply.resume();
      await once(reply, 'end');
    }
  });

  test('a silent connection is closed after head_timeout, an idle one after ten minutes', async () => {
    const clock = new FakeClock();
    const proxy = await startTidy(ON + apiConfig(await startOrigin()), { clock });
    const silent = await connectRaw(proxy.port);
    const slow = await connectRaw(proxy.port);
    await slow.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    const client = connectHttp2(proxy.url);
    await once(client, 'remoteSettings');
    expect((await ask(client, { ':path': '/api/' })).status).toBe(200);
    while (clock.pending < 3) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(60_000);
    await silent.untilClosed();
    await slow.untilClosed();
    expect(client.destroyed).toBe(false);
    const goaway = once(client, 'goaway');
    await clock.advance(540_000);
    expect((await goaway)[0]).toBe(constants.NGHTTP2_NO_ERROR);
  });

  test('it is off by default', async () => {
    const proxy = await startTidy(apiConfig(await startOrigin()));
    const client = connectHttp2(proxy.url);
    expect(await new Promise((resolve) => client.on('close', () => resolve('closed')))).toBe('closed');
  });
});

describe('a request over HTTP/2', () => {
  const start = async (...steps: Step[]) => {
    const origin = await startOrigin(...steps);
    const proxy = await startTidy(ON + apiConfig(origin));
    return { origin, proxy, client: connectHttp2(proxy.url) };
  };

  test('has its Cookie fields joined', async () => {
    const { client, origin } = await start();
    await ask(client, [':path', '/api/', ':method', 'GET', 'cookie', 'a=1', 'x-b', '2', 'cookie', 'c=3']);
    expect(origin.requests[0]?.rawHeaders.join('|')).toContain('cookie|a=1; c=3|x-b|2');
  });

  test('with a Host that contradicts its authority is refused', async () => {
    const { client, origin } = await start();
    expect((await ask(client, { ':path': '/api/', ':authority': 'a', host: 'b' })).status).toBe(400);
    expect((await ask(client, { ':path': '/api/', ':authority': 'a', host: 'a' })).status).toBe(200);
    expect(origin.requests.length).toBe(1);
  });

  test('CONNECT and odd expectations are refused, 100-continue is answered', async () => {
    const { client, origin } = await start();
    expect((await ask(client, { ':method': 'CONNECT', ':authority': 'a:1' }, null)).status).toBe(405);
    expect((await ask(client, { ...POST, expect: 'more' }, 'x')).status).toBe(417);
    const stream = client.request({ ...POST, expect: '100-continue' });
    await once(stream, 'continue');
    stream.end('body');
    await once(stream, 'response');
    stream.resume();
    await once(stream, 'close');
    expect(origin.requests.map(({ body }) => body.toString())).toEqual(['body']);
    expect(origin.requests[0]?.headers).not.toHaveProperty('expect');
  });

  test('that is answered before the end of its body may end the body in any way', async () => {
    const { client, proxy } = await start(({ response }) => void response.end('enough'));
    const stream = client.request(POST);
    stream.write('one');
    const chunks: string[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
    await once(stream, 'end');
    expect(chunks.join('')).toBe('enough');
    await proxy.untilEnded(1);
    stream.end('two');
    await once(stream, 'close');
    expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
  });

  test('whose body stalls gets 408, whatever other streams do', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(hang(), async ({ body, response }) => void response.end(await body()));
    const proxy = await startTidy(ON + apiConfig(origin), { clock });
    const client = connectHttp2(proxy.url);
    const stalled = client.request({ ...POST, 'content-length': 100_000 });
    const answered = once(stalled, 'response');
    stalled.write('x');
    await origin.untilRequests(1);
    await clock.advance(60_000);
    expect((await ask(client, POST, 'x'.repeat(100_000))).status).toBe(200);
    await clock.advance(60_000);
    expect((await answered)[0]).toMatchObject({ ':status': 408 });
    client.destroy();
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 0);
    while (clock.pending > 0) await clock.advance(60_000);
  });
});

test('draining sends GOAWAY, finishes running calls and accepts no others', async () => {
  const release = Promise.withResolvers<void>();
  const origin = await startOrigin(async ({ response }) => {
    response.write('begun ');
    await release.promise;
    response.end('and ended');
  });
  const clock = new FakeClock();
  const proxy = await startBreakwater(ON + apiConfig(origin), { clock });
  const client = connectHttp2(proxy.url);
  const idle = connectHttp2(proxy.url);
  const silent = await connectRaw(proxy.port);
  await Promise.all([once(client, 'remoteSettings'), once(idle, 'remoteSettings')]);
  const running = ask(client, { ':path': '/api/' });
  await origin.untilRequests(1);
  const goaway = once(client, 'goaway');
  const stopped = proxy.app.stop();
  await clock.advance(500);
  expect((await goaway)[0]).toBe(constants.NGHTTP2_NO_ERROR);
  await once(idle, 'close');
  await silent.untilClosed();
  release.resolve();
  expect(await running).toMatchObject({ status: 200, body: 'begun and ended', reset: 0 });
  await once(client, 'close');
  await clock.advance(30_000);
  await stopped;
});

test('streams that run after drain_timeout are reset', async () => {
  const origin = await startOrigin(({ response }) => void response.write('begun'));
  const clock = new FakeClock();
  const proxy = await startBreakwater(`drain_timeout: 10s\n${ON}${apiConfig(origin)}`, { clock });
  const client = connectHttp2(proxy.url);
  const running = ask(client, { ':path': '/api/' });
  await proxy.until(() => origin.requests.length === 1);
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 1);
  const stopped = proxy.app.stop();
  while (!client.closed) await clock.advance(500);
  expect((await running).reset).not.toBe(0);
  await clock.advance(1_000);
  await stopped;
});

test('an abandoned upload does not keep the proxy from stopping', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(({ response }) => void response.end('enough'));
  const proxy = await startBreakwater(ON + apiConfig(origin), { clock });
  const client = connectHttp2(proxy.url);
  const stream = client.request(POST);
  stream.on('error', () => undefined);
  stream.write('one');
  stream.resume();
  await once(stream, 'end');
  await proxy.untilEnded(1);
  const closed = new Promise((resolve) => client.on('close', () => resolve('closed')));
  const stopped = proxy.app.stop();
  await clock.advance(500);
  await stopped;
  expect(await closed).toBe('closed');
});
