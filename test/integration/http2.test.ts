import { once } from 'node:events';
import { request as httpRequest, type ServerResponse } from 'node:http';
import { constants } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import {
  type AddressInfo,
  connect as connectTcp,
  createServer as createTcpServer,
  type Socket,
} from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { EMPTY_BODY } from '../../src/http/bodies/request-body.ts';
import { Abort } from '../../src/runtime/abort.ts';
import { createAgent } from '../../src/upstream/agent.ts';
import { sendBy } from '../../src/proxy/pipeline.ts';
import { upstreamDispatch } from '../../src/upstream/send.ts';
import { type Breakwater, type BreakwaterOptions, NO_WAIT } from '../support/breakwater.ts';
import { Changes } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type Http2Origin, type Http2Step, reply, startHttp2Origin } from '../support/http2-origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { stubCall } from '../support/stub-call.ts';
import { startTidy, stateOf, untilState } from '../support/tidy.ts';
import { CA, pem } from '../support/tls.ts';

const { NGHTTP2_CANCEL, NGHTTP2_HTTP_1_1_REQUIRED, NGHTTP2_INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM } =
  constants;

const config = (url: string, { http2 = 'auto', more = '' } = {}) =>
  `${NO_WAIT}upstreams:\n  api:\n    url: ${url}\n    allow_private: true\n    connection: { http2: ${http2}, keep_alive: 10s }\n    tls: { ca: ${JSON.stringify(CA)} }\n${more}`;

const SHORT = '    retry: off\n    timeouts: { attempt: 1s, total: 1s }\n';

async function start(
  origin: { url: string },
  options: { http2?: string; more?: string } & BreakwaterOptions = {},
) {
  const proxy = await startTidy(config(origin.url, options), options);
  return { proxy, api: `${proxy.url}/api` };
}

describe('a call over HTTP/2', () => {
  test('carries a reply with many fields, like HTTP/1.1', async () => {
    const names = Array.from({ length: 500 }, (_, i) => `x-${i}`);
    const origin = await startHttp2Origin([
      reply('ok', Object.fromEntries(names.map((name) => [name, 'v']))),
    ]);
    const { api } = await start(origin);
    const answer = await fetch(`${api}/`);
    expect(answer.status).toBe(200);
    expect(names.filter((name) => answer.headers.get(name) !== 'v')).toEqual([]);
  });

  test('carries method, target, fields and body, and status, fields and body back', async () => {
    const origin = await startHttp2Origin([
      ({ stream }) => {
        stream.respond({ ':status': 201, 'set-cookie': ['a=1', 'b=2'], 'x-latin': 'caf\u00e9' });
        stream.end('made');
      },
    ]);
    const { proxy } = await start(origin);
    const client = await connectRaw(proxy.port);
    await client.send(
      'POST /api/a%2Fb//c?q=+1 HTTP/1.1\r\nhost: x\r\nCookie: a=1\r\ncookie: b=2\r\nX-Twice: 1\r\nx-twice: 2\r\nTE: trailers, gzip\r\nHTTP2-Settings: AAA\r\ncontent-length: 4\r\n\r\nbody',
    );
    const answer = await client.readReply();
    expect(answer).toMatchObject({ status: 201, body: Buffer.from('made') });
    const fields = answer.rawHeaders.join('|');
    expect(fields).toContain('set-cookie|a=1|set-cookie|b=2');
    expect(fields).toContain('x-latin|caf\u00e9');
    expect(fields).not.toContain(':status');
    const [request] = origin.requests;
    expect(request?.body.toString()).toBe('body');
    const { rawHeaders: sent } = request!;
    expect(sent.slice(0, 8)).toEqual([
      ':method',
      'POST',
      ':scheme',
      'https',
      ':authority',
      `localhost:${origin.port}`,
      ':path',
      '/a%2Fb//c?q=+1',
    ]);
    expect(sent.join('|')).toContain('cookie|a=1|cookie|b=2|x-twice|1|x-twice|2');
    expect(sent.join('|')).toContain('te|trailers');
    expect(sent.join('|')).not.toMatch(/http2-settings|gzip|connection/);
  });

  test('shares one connection with 100 others', async () => {
    const waiting: (() => void)[] = [];
    const origin = await startHttp2Origin([
      (request, session) => void waiting.push(() => reply('ok')(request, session)),
    ]);
    const { api, proxy } = await start(origin, { more: '    concurrency: off\n' });
    const calls = Array.from({ length: 100 }, () => fetch(api).then((answer) => answer.text()));
    await origin.until(({ requests }) => requests.length === 100);
    expect((await stateOf(proxy)).upstreams[0]?.connections).toBe(1);
    for (const answer of waiting) answer();
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['ok']));
    expect(origin.connections).toBe(1);
  });

  test('uses another connection if the upstream allows no more streams', async () => {
    const waiting: (() => void)[] = [];
    const origin = await startHttp2Origin(
      [(request, session) => void waiting.push(() => reply('ok')(request, session))],
      { settings: { maxConcurrentStreams: 2 } },
    );
    const { api } = await start(origin);
    const calls = Array.from({ length: 5 }, () =>
      fetch(api).then(({ headers }) => headers.get('breakwater-attempts')),
    );
    await origin.until(({ requests }) => requests.length === 5);
    expect(origin.requests.map(({ connection }) => connection).sort((a, b) => a - b)).toEqual([
      1, 1, 2, 2, 3,
    ]);
    for (const answer of waiting) answer();
    // None was refused: nothing is sent on a guess of how many are allowed.
    expect(await Promise.all(calls)).toEqual(['1', '1', '1', '1', '1']);
  });

  test('uses HTTP/1.1 by default', async () => {
    const origin = await startHttp2Origin([reply()], { allowHTTP1: true });
    const { api } = await start(origin, { http2: 'off' });
    expect(await (await fetch(api)).text()).toBe('HTTP/1.1');
    expect(origin.sessions).toHaveLength(0);
  });

  test('HEAD and 204 have no body, whatever length they announce', async () => {
    const origin = await startHttp2Origin([
      ({ stream }) => stream.respond({ ':status': 200, 'content-length': 5 }, { endStream: true }),
      ({ stream }) => stream.respond({ ':status': 204 }, { endStream: true }),
    ]);
    const { api } = await start(origin);
    const head = await fetch(api, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '5']);
    expect((await fetch(api)).status).toBe(204);
  });

  test('1xx heads are not the final reply', async () => {
    const origin = await startHttp2Origin([
      (request, session) => {
        request.stream.additionalHeaders({ ':status': 103, link: '</a>' });
        reply('final')(request, session);
      },
    ]);
    const { api } = await start(origin);
    expect(await (await fetch(api)).text()).toBe('final');
  });

  test('HTTP/1.1 is used if the upstream chooses it, on the connection of that handshake', async () => {
    let connections = 0;
    const server = createHttpsServer(pem('server'), (_request, response) => response.end('one point one'));
    server.on('secureConnection', () => connections++);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { api } = await start({ url: `https://localhost:${(server.address() as AddressInfo).port}` });
    expect(await (await fetch(api)).text()).toBe('one point one');
    // undici uses a connection again one turn of the loop after its last reply.
    await new Promise((resolve) => setImmediate(resolve));
    expect(await (await fetch(api, { method: 'POST', body: 'x' })).text()).toBe('one point one');
    expect(connections).toBe(1);
    server.closeAllConnections();
  });

  test('require is an error if the upstream does not offer HTTP/2', async () => {
    const server = createHttpsServer(pem('server'), (_request, response) => response.end());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { api } = await start(
      { url: `https://localhost:${(server.address() as AddressInfo).port}` },
      { http2: 'require' },
    );
    const answer = await fetch(api, { method: 'POST' });
    expect(answer.status).toBe(502);
    expect(answer.headers.get('proxy-status')).toContain(
      'error=tls_protocol_error; details="the upstream does not offer HTTP/2',
    );
    expect(answer.headers.get('breakwater-attempts')).toBe('3');
  });

  test('require uses HTTP/2 without TLS', async () => {
    const origin = await startHttp2Origin([reply('plain')], { plain: true });
    const { api } = await start(origin, { http2: 'require' });
    expect(await (await fetch(api)).text()).toBe('plain');
    expect(origin.requests[0]?.headers[':scheme']).toBe('http');
  });

  test('a rejected certificate is reported as over HTTP/1.1', async () => {
    const origin = await startHttp2Origin([reply()], pem('expired'));
    const { api } = await start(origin);
    const answer = await fetch(api, { method: 'POST' });
    expect(answer.headers.get('proxy-status')).toMatch(/tls_certificate_error.*CERT_HAS_EXPIRED/);
    expect(answer.headers.get('breakwater-attempts')).toBe('3');
  });
});

describe('failures', () => {
  const refuse: Http2Step = ({ stream }) => stream.close(NGHTTP2_REFUSED_STREAM);
  const crash: Http2Step = ({ stream }) => stream.close(NGHTTP2_INTERNAL_ERROR);
  const goAway =
    (code: number): Http2Step =>
    (request, session) =>
      session.goaway(code, request.stream.id! - 2);

  test('after REFUSED_STREAM, a POST without a key is retried on the same connection', async () => {
    const origin = await startHttp2Origin([refuse, reply('second')]);
    const { api, proxy } = await start(origin);
    const answer = await fetch(api, { method: 'POST', body: 'once' });
    expect([answer.headers.get('breakwater-attempts'), await answer.text()]).toEqual(['2', 'second']);
    expect(origin.requests.map(({ connection }) => connection)).toEqual([1, 1]);
    expect(origin.requests[1]?.body.toString()).toBe('once');
    expect((await proxy.untilEnded(1))[0]?.entries[0]).toMatchObject({
      error: 'connection_terminated',
      detail: expect.stringContaining('REFUSED_STREAM'),
    });
  });

  test.each([0, 11])(
    'a stream above GOAWAY’s last (code %i) was not sent, and goes on another connection',
    async (code) => {
      const origin = await startHttp2Origin([reply('first'), goAway(code), reply('third')]);
      const { api } = await start(origin);
      expect(await (await fetch(api)).text()).toBe('first');
      const answer = await fetch(api, { method: 'POST', body: 'x' });
      expect([answer.headers.get('breakwater-attempts'), await answer.text()]).toEqual(['2', 'third']);
      expect(origin.requests.map(({ connection }) => connection)).toEqual([1, 1, 2]);
    },
  );

  test('a stream that GOAWAY includes is completed', async () => {
    const origin = await startHttp2Origin([
      (request, session) => {
        session.goaway(0, request.stream.id!);
        reply('covered')(request, session);
      },
      reply('next'),
    ]);
    const { api } = await start(origin);
    const answer = await fetch(api, { method: 'POST', body: 'x' });
    expect([answer.headers.get('breakwater-attempts'), await answer.text()]).toEqual(['1', 'covered']);
    expect(await (await fetch(api)).text()).toBe('next');
    expect(origin.requests.map(({ connection }) => connection)).toEqual([1, 2]);
  });

  test('after any other reset, a GET is retried, a POST is not', async () => {
    const origin = await startHttp2Origin([crash, crash, reply('third')]);
    const { api } = await start(origin);
    const post = await fetch(api, { method: 'POST', body: 'x' });
    expect(post.status).toBe(502);
    expect(post.headers.get('proxy-status')).toMatch(
      /connection_terminated; details="the upstream reset the stream: INTERNAL_ERROR.*gave_up=not_idempotent/,
    );
    const got = await fetch(api);
    expect([got.headers.get('breakwater-attempts'), await got.text()]).toEqual(['2', 'third']);
  });

  test('a reply with too many fields is not reported as the upstream’s reset', async () => {
    const names = Array.from({ length: 5_000 }, (_, i) => `x-${i}`);
    const origin = await startHttp2Origin(
      [reply('ok', Object.fromEntries(names.map((name) => [name, 'v'])))],
      { maxSendHeaderBlockLength: 1_000_000 },
    );
    const { api, proxy } = await start(origin, { more: SHORT });
    expect((await fetch(api)).status).toBe(502);
    expect((await proxy.untilEnded(1))[0]?.entries[0]).toMatchObject({
      error: 'connection_terminated',
      detail:
        'the stream was reset: ENHANCE_YOUR_CALM; either by the upstream, or because the reply has too many or too large header fields',
    });
  });

  test('a connection that breaks before the head is treated the same way', async () => {
    const origin: Http2Origin = await startHttp2Origin([
      () => origin.cut(),
      () => origin.cut(),
      reply('third'),
    ]);
    const { api } = await start(origin);
    const post = await fetch(api, { method: 'POST', body: 'x' });
    expect([post.status, post.headers.get('breakwater-gave-up')]).toEqual([502, 'not_idempotent']);
    const got = await fetch(api);
    expect([got.headers.get('breakwater-attempts'), await got.text()]).toEqual(['2', 'third']);
  });

  test('HTTP_1_1_REQUIRED is followed by HTTP/1.1', async () => {
    const origin = await startHttp2Origin([({ stream }) => stream.close(NGHTTP2_HTTP_1_1_REQUIRED)], {
      allowHTTP1: true,
    });
    const { api } = await start(origin);
    const answer = await fetch(api, { method: 'POST', body: 'x' });
    expect([answer.headers.get('breakwater-attempts'), await answer.text()]).toEqual(['2', 'HTTP/1.1']);
    expect(origin.requests).toHaveLength(1);
  });

  const cuts: [string, (stream: Parameters<Http2Step>[0]['stream'], origin: Http2Origin) => void][] = [
    ['a reset', (stream) => void stream.destroy(new Error('broken'))],
    ['the end of the connection', (_stream, origin) => origin.cut()],
    ['less than its length', (stream) => void stream.end()],
  ];
  test.each(cuts)('a body cut short by %s is never ended cleanly', async (_name, cut) => {
    const origin: Http2Origin = await startHttp2Origin([
      ({ stream }) => {
        stream.respond({ ':status': 200, 'content-length': 100, 'x-cut': 'yes' });
        stream.write('part');
      },
    ]);
    const { proxy } = await start(origin);
    const client = await connectRaw(proxy.port);
    await client.send('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
    await client.untilText('part');
    cut(origin.requests[0]!.stream, origin);
    await client.untilClosed();
    expect(client.received.toString()).toMatch(/content-length: 100\r\n.*part$/s);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ error: 'response_incomplete' });
  });

  test.each(['reset', 'fin'] as const)('nor is one without a length (%s)', async (how) => {
    const origin = await startHttp2Origin(
      [
        ({ stream }) => {
          stream.respond({ ':status': 200 });
          stream.write('part');
        },
      ],
      { plain: true },
    );
    const { proxy } = await start(origin, { http2: 'require' });
    const client = await connectRaw(proxy.port);
    await client.send('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
    await client.untilText('part');
    origin.cut(how);
    await client.untilClosed();
    expect(client.received.toString()).not.toContain('0\r\n\r\n');
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ error: 'response_incomplete' });
  });

  test.each([
    ['before its length is here', [0x88, 0x0f, 0x0d, 0x01, 0x39]],
    ['of an unknown length', [0x88]],
  ])('a stream that ends without an error is not complete either, %s', async (_when, fields) => {
    // :status 200, content-length 9 or none; four bytes; RST_STREAM(NO_ERROR), which no node:http2 server sends.
    const head = Buffer.from(fields);
    const frames = [
      frame(4, 0, 0),
      frame(4, 1, 0),
      frame(1, 4, 1, head),
      frame(0, 0, 1, Buffer.from('part')),
    ];
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.write(Buffer.concat([...frames, frame(3, 0, 1, Buffer.alloc(4))])));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const { proxy } = await start({ url: `http://localhost:${port}` }, { http2: 'require' });
    const client = await connectRaw(proxy.port);
    await client.send('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
    await client.untilClosed();
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ status: 200, error: 'response_incomplete' });
  });

  test('an upstream that does not speak HTTP/2 is a protocol error', async () => {
    const server = createTcpServer((socket: Socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.write('SSH-2.0-OpenSSH_9.6\r\nnothing of HTTP\r\n'));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { api } = await start(
      { url: `http://localhost:${(server.address() as AddressInfo).port}` },
      { http2: 'require' },
    );
    const answer = await fetch(api, { method: 'POST' });
    expect(answer.headers.get('proxy-status')).toContain('error=http_protocol_error');
  });
});

/** RFC 9113 §4.1. */
function frame(type: number, flags: number, stream: number, payload = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.set([type, flags], 3);
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** Resolves once a number has stood still for many turns of the loop, each long enough for a packet. */
async function untilStill(read: () => number): Promise<number> {
  for (let turns = 0, last = read(); turns < 300; turns++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (read() !== last) [turns, last] = [0, read()];
  }
  return read();
}

describe('bodies', () => {
  test('a client that disconnects resets only its stream', async () => {
    const hold: Http2Step = ({ stream }) => {
      stream.respond({ ':status': 200 });
      stream.write('begun');
    };
    const origin = await startHttp2Origin([hold, hold]);
    const { proxy, api } = await start(origin);
    const stays = await fetch(api);
    const leaves = await connectRaw(proxy.port);
    await leaves.send('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
    await leaves.untilText('begun');
    leaves.abort();
    await origin.until(({ requests }) => requests[1]?.reset !== undefined);
    expect(origin.requests[1]?.reset).toBe(NGHTTP2_CANCEL);
    origin.requests[0]?.stream.end(' and ended');
    expect(await stays.text()).toBe('begun and ended');
    expect(origin.connections).toBe(1);
  });

  test('a slow reader pauses only its stream, with bounded memory', async () => {
    let written = 0;
    const flood: Http2Step = ({ stream }) => {
      stream.respond({ ':status': 200 });
      const chunk = Buffer.alloc(64 * 1024);
      const more = () => {
        while (written < 64 * 2 ** 20) {
          written += chunk.length;
          if (!stream.write(chunk)) return void stream.once('drain', more);
        }
        stream.end();
      };
      more();
    };
    const origin = await startHttp2Origin([flood, reply('quick')]);
    const { proxy, api } = await start(origin);
    const slow = httpRequest(`${api}/`).end();
    const [response] = await once(slow, 'response');
    response.pause();
    for (let i = 0; i < 5; i++) expect(await (await fetch(api)).text()).toBe('quick');
    expect(await untilStill(() => written)).toBeLessThan(16 * 2 ** 20);
    let received = 0;
    response.on('data', (chunk: Buffer) => (received += chunk.length)).resume();
    await once(response, 'end');
    expect(received).toBe(64 * 2 ** 20);
    expect(origin.connections).toBe(1);
    await proxy.untilEnded(6);
  });

  test('a large upload streams with back-pressure', async () => {
    const origin = await startHttp2Origin([
      ({ stream }) => {
        stream.on('end', () => {
          stream.respond({ ':status': 200 });
          stream.end('thanks');
        });
      },
    ]);
    const { api } = await start(origin);
    const body = Buffer.alloc(8 * 2 ** 20, 'abc');
    expect(await (await fetch(api, { method: 'POST', body })).text()).toBe('thanks');
    expect(origin.requests[0]?.body.equals(body)).toBe(true);
  });

  test('an upload is read only as fast as the upstream accepts it', async () => {
    const origin = await startHttp2Origin([({ stream }) => void stream.pause()]);
    const clock = new FakeClock();
    const options = {
      ca: CA,
      cert: undefined,
      key: undefined,
      servername: undefined,
      minVersion: 'TLSv1.2',
    } as const;
    const agent = createAgent(
      origin.url,
      {
        connectTimeoutMs: 2_000,
        keepAliveMs: 4_000,
        maxAgeMs: 60_000,
        allowPrivate: true,
        proxy: undefined,
        http2: 'auto',
        tls: options,
      },
      { clock },
    );
    let read = 0;
    async function* chunks() {
      for (; read < 64 * 2 ** 20; read += 65_536) yield Buffer.alloc(65_536);
    }
    const source = Object.assign(chunks(), { close: () => {} });
    const signal = new Abort();
    const body = {
      ...EMPTY_BODY,
      declaredBytes: undefined,
      replayable: false,
      open: () => source,
      dispose: () => {},
    };
    const call = stubCall({ method: 'POST', target: '/', body, signal });
    const send = sendBy(upstreamDispatch(agent.requests, origin.url, { clock, idleTimeoutMs: 1_000 }));
    const pending = send(call, call.attempt);
    pending.catch(() => {});
    await origin.until(({ requests }) => requests.length === 1);
    expect(await untilStill(() => read)).toBeLessThan(16 * 2 ** 20);
    signal.abort(new Error('enough'));
    await expect(pending).rejects.toThrow('enough');
    agent.close();
  });

  test('a streamed body is repeated from its first byte', async () => {
    const origin = await startHttp2Origin([
      ({ stream }) => stream.close(NGHTTP2_REFUSED_STREAM),
      (request, session) => void request.stream.on('end', () => reply('second')(request, session)),
    ]);
    const { api } = await start(origin);
    const body = Buffer.alloc(300_000, 'abc');
    expect(await (await fetch(api, { method: 'POST', body })).text()).toBe('second');
    expect(origin.requests[1]?.body.equals(body)).toBe(true);
  });

  /** The frames of streams that an upstream gets which only listens: what they are, their flags, and codes of resets. */
  async function startFrameOrigin(replies: Buffer = Buffer.alloc(0)) {
    const seen: string[] = [];
    const changes = new Changes();
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(Buffer.concat([frame(4, 0, 0), frame(4, 1, 0)]));
      let pending = Buffer.alloc(0);
      let skip = 24;
      socket.on('data', (chunk: Buffer) => {
        pending = Buffer.concat([pending, chunk]);
        if (skip > 0 && pending.length >= skip) [pending, skip] = [pending.subarray(skip), 0];
        while (skip === 0 && pending.length >= 9 && pending.length >= 9 + pending.readUIntBE(0, 3)) {
          const length = pending.readUIntBE(0, 3);
          const [type, flags] = [pending[3], pending[4]!];
          if (type === 0) seen.push(`DATA ${length}${flags & 1 ? ' END_STREAM' : ''}`);
          if (type === 0 && replies.length > 0) socket.write(replies);
          if (type === 3) seen.push(`RST_STREAM ${pending.readUInt32BE(9)}`);
          pending = pending.subarray(9 + length);
        }
        changes.notify();
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    return {
      url: `http://localhost:${port}`,
      seen,
      until: (condition: () => boolean) => changes.until(condition),
    };
  }

  const UPLOAD = 'POST /api/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n';

  test('a client that disconnects does not make its upload look complete', async () => {
    const origin = await startFrameOrigin();
    const { proxy } = await start(origin, { http2: 'require' });
    const client = await connectRaw(proxy.port);
    await client.send(UPLOAD);
    await origin.until(() => origin.seen.length === 1);
    client.abort();
    await origin.until(() => origin.seen.length === 2);
    expect(origin.seen).toEqual(['DATA 5', `RST_STREAM ${NGHTTP2_CANCEL}`]);
  });

  test('an early reply does not make the upload look complete', async () => {
    // :status 200 without a body.
    const origin = await startFrameOrigin(frame(1, 5, 1, Buffer.from([0x88])));
    const { proxy } = await start(origin, { http2: 'require' });
    const client = await connectRaw(proxy.port);
    await client.send(UPLOAD);
    expect((await client.readReply()).status).toBe(200);
    await origin.until(() => origin.seen.length === 2);
    expect(origin.seen).toEqual(['DATA 5', `RST_STREAM ${NGHTTP2_CANCEL}`]);
  });

  test('an early reply ends the upload', async () => {
    const origin = await startHttp2Origin([
      ({ stream }) => {
        stream.respond({ ':status': 413 });
        stream.end('too much');
      },
    ]);
    const { proxy } = await start(origin);
    const client = await connectRaw(proxy.port);
    await client.send('POST /api/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n');
    expect(await client.readReply()).toMatchObject({ status: 413, body: Buffer.from('too much') });
    await origin.until(({ requests }) => requests[0]?.stream.closed === true);
  });
});

describe('trailers', () => {
  const withTrailers =
    (body: string): Http2Step =>
    ({ stream }) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'fine' }));
      stream.end(body);
    };

  // undici's own HTTP/2 loses the body here, and calls the reply complete.
  test('reach the client after a complete body', async () => {
    const origin = await startHttp2Origin([withTrailers('message')]);
    const { proxy } = await start(origin);
    const client = await connectRaw(proxy.port);
    await client.send('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
    await client.untilText('grpc-status: 0\r\ngrpc-message: fine\r\n\r\n');
    expect(client.received.toString()).toMatch(
      /\r\n\r\n7\r\nmessage\r\n0\r\ngrpc-status: 0\r\ngrpc-message: fine\r\n\r\n$/,
    );
  });

  test('also without a body', async () => {
    const origin = await startHttp2Origin([withTrailers('')]);
    const { proxy } = await start(origin);
    const client = await connectRaw(proxy.port);
    await client.send('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
    await client.untilText('grpc-message: fine\r\n\r\n');
    expect(client.received.toString()).toContain('\r\n\r\n0\r\ngrpc-status: 0\r\n');
  });
});

/** The stream of the last call has closed too, one turn of the loop after the call. */
async function untilIdle(proxy: Breakwater): Promise<void> {
  await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 0);
  await new Promise((resolve) => setImmediate(resolve));
}

/** A way to `origin` that can be frozen: bytes that are sent then arrive nowhere. */
async function startRelay(origin: { port: number }): Promise<{ url: string; freeze(): void }> {
  const pairs: [Socket, Socket][] = [];
  const server = createTcpServer((near) => {
    const far = connectTcp(origin.port, '127.0.0.1');
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.on('close', () => far.destroy());
    pairs.push([near, far]);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const [near] of pairs) near.destroy();
  });
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    freeze: () => pairs.forEach(([near, far]) => near.unpipe(far).resume()),
  };
}

describe('a connection', () => {
  test('takes no new calls after max_age, and closes', async () => {
    const clock = new FakeClock();
    const origin = await startHttp2Origin();
    const { api } = await start(origin, { clock });
    await (await fetch(api)).text();
    await (await fetch(api)).text();
    expect(origin.connections).toBe(1);
    await clock.advance(9_000);
    await (await fetch(api)).text();
    expect(origin.connections).toBe(1);
    for (let i = 0; i < 35; i++) {
      await clock.advance(9_000);
      await (await fetch(api)).text();
    }
    expect(origin.connections).toBe(2);
    await origin.until(({ openConnections }) => openConnections === 1);
    await clock.advance(10_000);
    await origin.until(({ openConnections }) => openConnections === 0);
  });

  test('closes after keep_alive without a call', async () => {
    const clock = new FakeClock();
    const origin = await startHttp2Origin();
    const { api, proxy } = await start(origin, { clock });
    await (await fetch(api)).text();
    await untilIdle(proxy);
    await clock.advance(9_999);
    expect(origin.openConnections).toBe(1);
    await clock.advance(1);
    await origin.until(({ openConnections }) => openConnections === 0);
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.connections === 0);
  });

  test('that is silent is detected after a timeout, and replaced', async () => {
    const clock = new FakeClock();
    const origin = await startHttp2Origin([reply('first'), () => {}, reply('third')]);
    const relay = await startRelay(origin);
    const { api, proxy } = await start(relay, { clock, more: SHORT });
    await (await fetch(api)).text();
    const pending = fetch(api);
    await origin.until(({ requests }) => requests.length === 2);
    relay.freeze();
    await clock.advance(1_000);
    expect((await pending).status).toBe(504);
    expect(await (await fetch(api)).text()).toBe('third');
    expect(origin.connections).toBe(2);
    // `connect` is how long a PING may take.
    await clock.advance(2_000);
    await origin.until(({ openConnections }) => openConnections === 1);
    await untilIdle(proxy);
    await clock.advance(10_000);
  });

  test('that answers a PING is reused after a timeout', async () => {
    const clock = new FakeClock();
    const origin = await startHttp2Origin([() => {}, reply('second')]);
    const { api, proxy } = await start(origin, { clock, more: SHORT });
    const pending = fetch(api);
    await origin.until(({ requests }) => requests.length === 1);
    const pinged = once(origin.sessions[0]!, 'ping');
    await clock.advance(1_000);
    expect((await pending).status).toBe(504);
    await pinged;
    await origin.until(({ requests }) => requests[0]?.reset === NGHTTP2_CANCEL);
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.in_flight === 0);
    expect(await (await fetch(api)).text()).toBe('second');
    expect(origin.connections).toBe(1);
    await untilIdle(proxy);
    await clock.advance(10_000);
  });

  test('a reload with other options does not affect calls on the old one', async () => {
    const origin = await startHttp2Origin([
      ({ stream }) => {
        stream.respond({ ':status': 200 });
        stream.write('begun');
      },
      reply('new'),
    ]);
    const { api, proxy } = await start(origin);
    const old = await fetch(api);
    proxy.rewrite(config(origin.url, { more: '    timeouts: { connect: 3s }\n' }));
    await proxy.app.reload();
    expect(await (await fetch(api)).text()).toBe('new');
    origin.requests[0]?.stream.end(' and ended');
    expect(await old.text()).toBe('begun and ended');
    expect(origin.connections).toBe(2);
  });
});

test('a connection opened to negotiate the protocol, and then not needed, is closed', async () => {
  const held: ServerResponse[] = [];
  const server = createHttpsServer(
    { ...pem('server'), ALPNProtocols: ['http/1.1'] },
    (_request, response) => {
      // The second and the third wait for each other, so that there are two connections.
      if (held.push(response) === 3) for (const one of held.slice(1)) one.end();
      else if (held.length !== 2) response.end();
    },
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const clock = new FakeClock();
  const { port } = server.address() as AddressInfo;
  const more =
    '    timeouts: { attempt: 10m, total: 10m }\n    connection: { http2: auto, max_age: 1m, keep_alive: 10m }\n';
  const proxy = await startTidy(
    `upstreams:\n  api:\n    url: https://localhost:${port}\n    allow_private: true\n    tls: { ca: ${JSON.stringify(CA)} }\n${more}`,
    { clock },
  );
  const call = async () => (await fetch(`${proxy.url}/api/`)).text();
  await call();
  await clock.advance(50_000);
  await Promise.all([call(), call()]);
  await clock.advance(10_000);
  await call();
  const open = () =>
    new Promise<number>((resolve) => server.getConnections((_error, count) => resolve(count)));
  await vi.waitFor(async () => expect(await open()).toBe(1));
});
