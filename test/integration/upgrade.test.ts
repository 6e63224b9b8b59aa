import dns, { type LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import type { Socket } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { request } from 'undici';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type ClientOptions, WebSocket } from 'ws';
import { apiConfig, type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { selfSigned } from '../support/certificate.ts';
import { Changes } from '../support/changes.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, startOrigin } from '../support/origin.ts';
import { connectRaw, type RawClient } from '../support/raw-client.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { answer, hangBeforeHead, replyBytes, resetAfterRequest } from '../support/raw-steps.ts';
import { echo, type OriginHandshake, startSocketOrigin } from '../support/socket-origin.ts';
import { startTidy, stateOf, untilState } from '../support/tidy.ts';

/** A client of the upstream `api`, which records its messages. */
function connectTo(proxy: Breakwater, path = '/api/', options: ClientOptions = {}, protocols: string[] = []) {
  const changes = new Changes();
  const received: (string | Buffer)[] = [];
  let end: { code: number; reason: string } | undefined;
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}${path}`, protocols, options);
  socket.on('message', (data: Buffer, isBinary) => {
    received.push(isBinary ? data : data.toString());
    changes.notify();
  });
  socket.on('close', (code, reason) => {
    end = { code, reason: reason.toString() };
    changes.notify();
  });
  socket.on('error', () => undefined);
  onTestFinished(() => socket.terminate());
  return {
    socket,
    received,
    opened: () => once(socket, 'open'),
    untilReceived: (count: number) => changes.until(() => received.length >= count),
    ended: async () => {
      await changes.until(() => end !== undefined);
      return end;
    },
    /** The reply if it is not a 101. */
    refused: async () => {
      const [, response] = await once(socket, 'unexpected-response');
      const body = (await response.toArray()).join('');
      return { status: response.statusCode as number, headers: response.headers, body };
    },
  };
}

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

/** A handshake as bytes (the key and its answer are those of RFC 6455 §1.3). */
function handshakeBytes(path = '/api/', lines: readonly string[] = []): string {
  const fields = ['host: x', 'connection: Upgrade', 'upgrade: websocket', 'sec-websocket-version: 13'];
  return [`GET ${path} HTTP/1.1`, ...fields, `sec-websocket-key: ${KEY}`, ...lines, '', ''].join('\r\n');
}

const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n' +
  'sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';

async function shake(proxy: Breakwater, bytes = handshakeBytes()): Promise<RawClient> {
  const client = await connectRaw(proxy.port);
  await client.send(bytes);
  return client;
}

/** Bytes after the head of the 101. */
function tunnelled(client: RawClient): string {
  const text = client.received.toString('latin1');
  return text.slice(text.indexOf('\r\n\r\n') + 4);
}

/** Bytes that the kernel has taken. */
function handedOver(socket: Socket | undefined): number {
  return socket === undefined ? 0 : socket.bytesWritten - socket.writableLength;
}

/**
 * Reads at least `total` bytes, with a few turns of the event loop between pieces, in which the other side can send. `ahead`
 * is the maximum lead of the sender: the kernel buffers of two connections and a little memory of the proxy. Without
 * back-pressure, it is nearly everything.
 */
async function readSlowly(reader: Socket, sent: () => number, total: number) {
  reader.pause();
  let read = 0;
  let ahead = 0;
  while (read < total) {
    read += (reader.read() as Buffer | null)?.length ?? 0;
    ahead = Math.max(ahead, sent() - read);
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
  }
  return { read, ahead };
}

/** An origin whose side of each tunnel is a bare socket. */
function bare(onSocket: (socket: Socket, handshake: OriginHandshake) => void) {
  return (handshake: OriginHandshake) => {
    handshake.socket.write(SWITCHED);
    onSocket(handshake.socket, handshake);
  };
}

/** The origin's side of the first tunnel, which reads all it gets. */
async function bareTunnel(options: { clock?: FakeClock; start?: typeof startBreakwater } = {}) {
  const sockets: Socket[] = [];
  let got = '';
  const changes = new Changes();
  const origin = await startSocketOrigin(
    bare((socket) => {
      sockets.push(socket);
      socket.on('data', (data) => {
        got += data.toString('latin1');
        changes.notify();
      });
    }),
  );
  const { clock, start = startTidy } = options;
  const proxy = await start(apiConfig(origin), clock ? { clock } : {});
  const client = await shake(proxy);
  await client.untilText('\r\n\r\n');
  return {
    origin,
    proxy,
    client,
    far: sockets[0]!,
    untilGot: (text: string) => changes.until(() => got.includes(text)),
  };
}

describe('messages', () => {
  test('text and binary go both ways', async () => {
    const origin = await startSocketOrigin();
    const proxy = await startTidy(apiConfig(origin));
    const client = connectTo(proxy);
    await client.opened();
    client.socket.send('grüße');
    client.socket.send(Buffer.from([0, 255, 128]));
    await client.untilReceived(2);
    expect(client.received).toEqual(['grüße', Buffer.from([0, 255, 128])]);
    client.socket.close();
    await client.ended();
  });

  test('10 000 in each direction arrive in order', async () => {
    const COUNT = 10_000;
    const fromClient: string[] = [];
    const origin = await startSocketOrigin(({ accept }) => {
      const peer = accept();
      peer.on('message', (data: Buffer) => {
        fromClient.push(data.toString());
        if (fromClient.length === COUNT) peer.close(1000);
      });
      for (let i = 0; i < COUNT; i++) peer.send(`down ${i}`);
    });
    const proxy = await startTidy(apiConfig(origin));
    const client = connectTo(proxy);
    await client.opened();
    for (let i = 0; i < COUNT; i++) client.socket.send(`up ${i}`);
    await client.ended();
    const expected = (word: string) => Array.from({ length: COUNT }, (_, i) => `${word} ${i}`);
    expect(client.received).toEqual(expected('down'));
    expect(fromClient).toEqual(expected('up'));
  });

  test('ping and pong pass with their payload, from either side', async () => {
    const pongs: string[] = [];
    const changes = new Changes();
    const seen = (data: Buffer) => {
      pongs.push(data.toString());
      changes.notify();
    };
    const origin = await startSocketOrigin(({ accept }) => {
      const peer = accept();
      peer.on('pong', seen);
      peer.ping('from origin');
    });
    const proxy = await startTidy(apiConfig(origin));
    const client = connectTo(proxy);
    client.socket.on('pong', seen);
    await client.opened();
    client.socket.ping('from client');
    await changes.until(() => pongs.length === 2);
    expect(pongs.sort()).toEqual(['from client', 'from origin']);
  });

  test('compression is negotiated between the ends', async () => {
    const origin = await startSocketOrigin(echo, { ws: { perMessageDeflate: { threshold: 0 } } });
    const proxy = await startTidy(apiConfig(origin));
    const client = connectTo(proxy, '/api/', { perMessageDeflate: { threshold: 0 } });
    await client.opened();
    expect(client.socket.extensions).toBe('permessage-deflate');
    client.socket.send('a'.repeat(100_000));
    await client.untilReceived(1);
    expect(client.received).toEqual(['a'.repeat(100_000)]);
  });

  test.each(['down', 'up'])('%s: a slow reader holds the sender back', async (direction) => {
    const FRAME = Buffer.alloc(1024 * 1024, 'x');
    const FRAMES = 64;
    const tunnel = await bareTunnel();
    const ends = [tunnel.far, tunnel.client.socket] as const;
    const [sender, reader] = direction === 'down' ? ends : ([ends[1], ends[0]] as const);
    sender.on('error', () => undefined);
    reader.removeAllListeners('data');
    const before = handedOver(sender);
    for (let i = 0; i < FRAMES; i++) sender.write(FRAME);
    const total = FRAMES * FRAME.length;
    const { ahead } = await readSlowly(reader, () => handedOver(sender) - before, total);
    expect(ahead).toBeLessThan(total / 2);
  });

  test('bytes in one packet with either head are not lost', async () => {
    let early = '';
    const changes = new Changes();
    const origin = await startSocketOrigin(({ socket, head }) => {
      early = head.toString();
      socket.on('data', (data: Buffer) => {
        early += data.toString();
        changes.notify();
      });
      socket.write(`${SWITCHED}from upstream`);
    });
    const proxy = await startTidy(apiConfig(origin));
    const client = await shake(proxy, `${handshakeBytes()}from client`);
    await client.untilText('from upstream');
    await changes.until(() => early === 'from client');
    expect(tunnelled(client)).toBe('from upstream');
  });
});

describe('the handshake', () => {
  test('is forwarded like a request, with Connection and Upgrade', async () => {
    const origin = await startSocketOrigin();
    const proxy = await startTidy(
      apiConfig(origin, '    headers: { set: { authorization: Bearer s3cret }, remove: x-internal }\n'),
    );
    const client = await shake(
      proxy,
      handshakeBytes('/api/chat//a%2Fb?x=1&y=', [
        'connection: x-hop',
        'x-hop: 1',
        'x-internal: 1',
        'origin: http://x',
        'cookie: a=1',
        'cookie: b=2',
      ]),
    );
    const head = await client.untilText('\r\n\r\n').then(() => client.received.toString('latin1'));
    const { url, headers } = origin.handshakes[0]!;
    expect(url).toBe('/chat//a%2Fb?x=1&y=');
    expect(headers).toMatchObject({
      host: `127.0.0.1:${origin.port}`,
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': KEY,
      origin: 'http://x',
      authorization: 'Bearer s3cret',
      cookie: 'a=1; b=2',
      via: expect.stringMatching(/^1\.1 breakwater/),
    });
    expect(headers).not.toHaveProperty('x-hop');
    expect(headers).not.toHaveProperty('x-internal');
    expect(head).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    const lower = head.toLowerCase();
    for (const line of [
      'connection: upgrade',
      'upgrade: websocket',
      'via: 1.1 breakwater',
      'breakwater-attempts: 1',
    ]) {
      expect(lower.split(`\r\n${line}\r\n`).length).toBe(2);
    }
    expect(head).toContain('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    expect(lower).not.toContain('transfer-encoding');
  });

  test('negotiates the subprotocol', async () => {
    const origin = await startSocketOrigin(echo, {
      ws: { handleProtocols: (offered) => [...offered][1] ?? false },
    });
    const proxy = await startTidy(apiConfig(origin));
    const client = connectTo(proxy, '/api/', {}, ['v1.chat', 'v2.chat']);
    await client.opened();
    expect(client.socket.protocol).toBe('v2.chat');
  });

  test('always uses a new connection, because an idle one may be dead', async () => {
    const origin = await startSocketOrigin();
    const proxy = await startTidy(apiConfig(origin));
    expect((await request(`${proxy.url}/api/`)).statusCode).toBe(426);
    const client = connectTo(proxy);
    await client.opened();
    expect(origin.connections).toBe(2);
  });

  test('to an upstream that refuses the connection is repeated after the backoff', async () => {
    const clock = new FakeClock();
    const origin = await startSocketOrigin();
    origin.refuse();
    const proxy = await startTidy(apiConfig(origin, '    retry: { backoff: { base: 100ms } }\n'), { clock });
    const client = connectTo(proxy);
    await clock.untilAsleep();
    await origin.accept();
    await clock.advance(100);
    await client.opened();
    client.socket.send('hello');
    await client.untilReceived(1);
    client.socket.close(1000);
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({ attempts: 2, status: 101, outcome: 'rescued' });
    expect(record?.entries[0]).toMatchObject({ error: 'connection_refused' });
  });

  test('that has reached the upstream is not repeated', async () => {
    const origin = await startRawOrigin(resetAfterRequest());
    const proxy = await startTidy(apiConfig(origin));
    const reply = await connectTo(proxy).refused();
    expect(reply.status).toBe(502);
    expect(reply.headers['proxy-status']).toContain('error=connection_terminated');
    expect(reply.headers['breakwater-gave-up']).toBe('not_idempotent');
    expect(origin.requests.length).toBe(1);
  });

  test.each([401, 403, 426, 503])(
    'answered %i reaches the client whole, after one attempt',
    async (status) => {
      const origin = await startRawOrigin(
        answer(replyBytes(status, ['x-from: origin', 'www-authenticate: Basic'], 'no entry')),
      );
      const proxy = await startTidy(apiConfig(origin));
      const client = await shake(proxy);
      const reply = await client.readReply();
      expect(reply.status).toBe(status);
      expect(reply.body.toString()).toBe('no entry');
      const fields = reply.rawHeaders.join(' ').toLowerCase();
      expect(fields).toContain('x-from origin');
      expect(fields).toContain('www-authenticate basic');
      expect(fields).toContain('breakwater-origin upstream');
      expect(fields).toContain('connection close');
      expect(fields).not.toContain('upgrade');
      expect(await client.untilClosed()).toBe('fin');
      expect(origin.requests.length).toBe(1);
    },
  );

  test('answered with a large body: a slow client pauses it, and gets it completely', async () => {
    const body = Buffer.alloc(64 * 1024 * 1024, 'y');
    const sent: Socket[] = [];
    const origin = await startRawOrigin({
      at: 'request',
      run: ({ socket }) => {
        sent.push(socket);
        socket.write(replyBytes(403, [], body));
      },
    });
    const proxy = await startTidy(apiConfig(origin));
    const { socket } = await shake(proxy);
    socket.removeAllListeners('data');
    const { read, ahead } = await readSlowly(socket, () => handedOver(sent[0]), body.length);
    expect(read).toBeGreaterThan(body.length);
    expect(ahead).toBeLessThan(body.length / 2);
  });

  test('times out at the deadline; the tunnel never does', async () => {
    const clock = new FakeClock();
    const handshakes: OriginHandshake[] = [];
    const origin = await startSocketOrigin((handshake) => {
      handshakes.push(handshake);
      if (handshakes.length === 2) echo(handshake);
      else handshake.socket.resume();
    });
    const proxy = await startTidy(apiConfig(origin, '    timeouts: { total: 5s, idle: 7s }\n'), { clock });
    const late = connectTo(proxy);
    const refused = late.refused();
    await origin.until(() => handshakes.length === 1);
    await clock.advance(5_000);
    expect(await refused).toMatchObject({ status: 504 });
    await origin.until(({ openConnections }) => openConnections === 0);

    const client = connectTo(proxy);
    await client.opened();
    await clock.advance(7 * 24 * 3_600_000);
    client.socket.send('still there');
    await client.untilReceived(1);
  });

  test('is refused while the breaker is open, and failed ones open it', async () => {
    const origin = await startSocketOrigin();
    origin.refuse();
    const proxy = await startTidy(
      apiConfig(origin, '    retry: off\n    breaker: { connect_failures: 3 }\n'),
    );
    for (let i = 0; i < 3; i++) expect((await connectTo(proxy).refused()).status).toBe(502);
    await origin.accept();
    const { status, headers, body } = await connectTo(proxy).refused();
    expect(status).toBe(503);
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(headers['content-type']).toBe('application/problem+json');
    expect(JSON.parse(body)).toMatchObject({ code: 'breaker_open', upstream: 'api' });
    expect(origin.connections).toBe(0);
  });

  test('that succeeds closes a half-open breaker at once', async () => {
    const clock = new FakeClock();
    const origin = await startSocketOrigin();
    origin.refuse();
    const config = '    retry: off\n    breaker: { connect_failures: 1, probes: 1 }\n';
    const proxy = await startTidy(apiConfig(origin, config), { clock });
    expect((await connectTo(proxy).refused()).status).toBe(502);
    await origin.accept();
    await clock.advance(1_000);
    await connectTo(proxy).opened();
    expect((await stateOf(proxy)).upstreams[0]?.scopes[0]?.breaker?.state).toBe('closed');
  });

  test('holds a permit of the concurrency limit, its tunnel does not', async () => {
    const waiting: OriginHandshake[] = [];
    const origin = await startSocketOrigin((handshake) => void waiting.push(handshake));
    const proxy = await startTidy(apiConfig(origin, '    concurrency: { mode: fixed, max: 1, queue: 0 }\n'));
    const first = connectTo(proxy);
    await origin.until(() => waiting.length === 1);
    const { status, headers } = await connectTo(proxy).refused();
    expect(status).toBe(503);
    expect(headers['proxy-status']).toContain('error=connection_limit_reached');
    const opened = first.opened();
    echo(waiting[0]!);
    await opened;
    const second = connectTo(proxy);
    await origin.until(() => waiting.length === 2);
    const openedToo = second.opened();
    echo(waiting[1]!);
    await openedToo;
  });

  test('adds to the retry budget once, like any reply', async () => {
    const origin = await startSocketOrigin();
    const proxy = await startTidy(apiConfig(origin, '    retry: { budget: { cap: 10, ratio: 1 } }\n'));
    await connectTo(proxy).opened();
    expect((await stateOf(proxy)).upstreams[0]?.scopes[0]?.budget_tokens).toBeGreaterThan(0);
  });

  test.each([
    ['/nowhere/', 404, 'route_not_found'],
    ['/api/../../x', 400, 'bad_request'],
  ])('to %s is refused with %i', async (path, status, code) => {
    const origin = await startSocketOrigin();
    const proxy = await startTidy(apiConfig(origin));
    const client = await shake(proxy, handshakeBytes(path));
    const reply = await client.readReply();
    expect(reply.status).toBe(status);
    expect(JSON.parse(reply.body.toString())).toMatchObject({ status, code });
    expect(reply.rawHeaders.join(' ').toLowerCase()).toContain('content-type application/problem+json');
    expect(await client.untilClosed()).toBe('fin');
    expect(origin.connections).toBe(0);
  });

  test('answered by a switch to another protocol, or to none, is a 502', async () => {
    const switches = [
      SWITCHED.replace('upgrade: websocket', 'upgrade: h2c'),
      'HTTP/1.1 101 Switching\r\n\r\n',
    ];
    const origin = await startRawOrigin(...switches.map((bytes) => answer(bytes)));
    const proxy = await startTidy(apiConfig(origin));
    for (const _ of switches) {
      const reply = await connectTo(proxy).refused();
      expect(reply.status).toBe(502);
      expect(reply.headers['proxy-status']).toContain('error=http_protocol_error');
    }
    await origin.until(({ openConnections }) => openConnections === 0);
  });

  test('answered by a 101 with a Content-Length loses that field', async () => {
    const origin = await startSocketOrigin(({ socket }) => {
      socket.write(SWITCHED.replace('\r\n\r\n', '\r\ncontent-length: 3\r\n\r\nabcdef'));
    });
    const proxy = await startTidy(apiConfig(origin));
    const client = await shake(proxy);
    await client.untilText('abcdef');
    expect(client.received.toString('latin1').toLowerCase()).not.toContain('content-length');
  });
});

describe('requests that are not a handshake', () => {
  test.each([
    [
      'h2c',
      'GET',
      ['connection: upgrade, http2-settings', 'upgrade: h2c', 'http2-settings: AAMAAABkAAQAAP__'],
      '',
    ],
    ['another method', 'DELETE', ['connection: upgrade', 'upgrade: websocket'], ''],
    ['a body', 'GET', ['connection: upgrade', 'upgrade: websocket', 'content-length: 4'], 'body'],
    ['no Connection', 'GET', ['upgrade: websocket'], ''],
  ])('(%s) is an ordinary request without the upgrade', async (_, method, lines, body) => {
    const origin = await startOrigin(ok('fine'));
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    const bytes = [`${method} /api/ HTTP/1.1`, 'host: x', ...lines, '', body].join('\r\n');
    for (let i = 1; i <= 2; i++) {
      await client.send(bytes);
      const reply = await client.readReply();
      expect(reply.body.toString()).toBe('fine');
      expect(origin.requests.length).toBe(i);
    }
    const { headers, body: arrived } = origin.requests[0]!;
    expect(headers).not.toHaveProperty('upgrade');
    expect(headers).not.toHaveProperty('http2-settings');
    expect(headers.connection).toBe('keep-alive');
    expect(arrived.toString()).toBe(body);
  });

  test('in HTTP/1.0', async () => {
    const origin = await startOrigin(ok('fine'));
    const proxy = await startTidy(apiConfig(origin));
    const client = await shake(proxy, handshakeBytes().replace('HTTP/1.1', 'HTTP/1.0'));
    expect((await client.readReply()).status).toBe(200);
    expect(origin.requests[0]?.headers).not.toHaveProperty('upgrade');
  });

  test('a handshake after an unanswered request: replies keep their order', async () => {
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const origin = await startOrigin(async ({ request: { url }, response }) => {
      if (url === '/first') await released;
      response.end(url);
    });
    const proxy = await startTidy(apiConfig(origin));
    const client = await shake(
      proxy,
      `GET /api/first HTTP/1.1\r\nhost: x\r\n\r\n${handshakeBytes('/api/second')}`,
    );
    await origin.untilRequests(1);
    release();
    expect((await client.readReply()).body.toString()).toBe('/first');
    expect((await client.readReply()).body.toString()).toBe('/second');
    for (const { headers } of origin.requests) expect(headers).not.toHaveProperty('upgrade');
  });

  test('a 101 that was not requested is a 502', async () => {
    const origin = await startRawOrigin(answer(SWITCHED));
    const proxy = await startTidy(apiConfig(origin, '    retry: off\n'));
    expect((await request(`${proxy.url}/api/`)).statusCode).toBe(502);
  });
});

describe('the end', () => {
  test.each([
    ['client', 4001, 'bye'],
    ['upstream', 1012, 'restarting'],
  ])('by the %s delivers close code and reason', async (side, code, reason) => {
    const ends: unknown[] = [];
    const origin = await startSocketOrigin(({ accept }) => {
      const peer = accept();
      peer.on('close', (got, why) => ends.push({ code: got, reason: why.toString() }));
      if (side === 'upstream') peer.close(code, reason);
    });
    const proxy = await startTidy(apiConfig(origin));
    const client = connectTo(proxy);
    await client.opened();
    if (side === 'client') client.socket.close(code, reason);
    expect(await client.ended()).toEqual({ code, reason });
    await origin.until(() => ends.length === 1 && origin.openConnections === 0);
    expect(ends).toEqual([{ code, reason }]);
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({
      attempts: 1,
      status: 101,
      origin: 'upstream',
      outcome: 'ok',
      error: undefined,
    });
    expect(proxy.logs.filter(({ message }) => message.includes('/api') || message.includes('api/'))).toEqual(
      [],
    );
  });

  test('a side that closes its half still receives the other direction', async () => {
    const { far, client, untilGot, proxy, origin } = await bareTunnel();
    far.removeAllListeners('end');
    far.once('end', () => far.end('last words'));
    await client.send('goodbye');
    client.halfClose();
    await untilGot('goodbye');
    expect(await client.untilClosed()).toBe('fin');
    expect(tunnelled(client)).toBe('last words');
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'ok', status: 101 });
    await origin.until(({ openConnections }) => openConnections === 0);
  });

  test('an upstream that closes also closes the client, after its last bytes', async () => {
    const { far, client, proxy, origin } = await bareTunnel();
    const large = 'z'.repeat(4 * 1024 * 1024);
    far.end(large);
    expect(await client.untilClosed()).toBe('fin');
    expect(tunnelled(client)).toBe(large);
    await client.send('too late');
    client.halfClose();
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'ok' });
    await origin.until(({ openConnections }) => openConnections === 0);
  });

  test.each(['client', 'upstream'])(
    'a silent %s is cut when nothing moves any more after the other has closed its side',
    async (silent) => {
      const clock = new FakeClock();
      const { far, client, proxy, origin } = await bareTunnel({ clock });
      if (silent === 'upstream') {
        far.removeAllListeners('end');
        client.halfClose();
        await once(far, 'end');
      } else {
        far.end();
        await client.untilClosed();
      }
      await clock.advance(9_999);
      expect(proxy.ended.length).toBe(0);
      await clock.advance(20_001);
      await proxy.untilEnded(1);
      const { upstreams } = await untilState(proxy, (state) => state.upstreams[0]?.tunnels === 0);
      expect(upstreams[0]?.connections).toBe(0);
      // The kernel does not tell a half-closed peer before its next word.
      far.end();
      await origin.until(({ openConnections }) => openConnections === 0);
      expect(proxy.ended[0]).toMatchObject({ outcome: 'ok' });
    },
  );

  test('an upstream that sends after its client has disconnected is closed', async () => {
    const clock = new FakeClock();
    const { far, client, proxy } = await bareTunnel({ clock });
    far.removeAllListeners('end');
    far.on('error', () => undefined);
    client.halfClose();
    await once(far, 'end');
    client.abort();
    far.write('still there?');
    await proxy.untilEnded(1);
    for (let i = 0; i < 3; i++) {
      far.write('anybody?');
      await stateOf(proxy);
      await clock.advance(10_000);
    }
    const { upstreams } = await untilState(proxy, (state) => state.upstreams[0]?.tunnels === 0);
    expect(upstreams[0]).toMatchObject({ in_flight: 0, connections: 0 });
  });

  test('a half that still moves is not closed', async () => {
    const clock = new FakeClock();
    const { far, client } = await bareTunnel({ clock });
    far.removeAllListeners('end');
    client.halfClose();
    await once(far, 'end');
    for (let i = 0; i < 5; i++) {
      await clock.advance(9_000);
      far.write(`piece ${i}`);
      await client.untilText(`piece ${i}`);
    }
    far.end();
    expect(await client.untilClosed()).toBe('fin');
  });

  test.each(['abort', 'halfClose'] as const)(
    'a client that leaves (%s) during the handshake ends it upstream',
    async (how) => {
      const origin = await startRawOrigin(hangBeforeHead());
      const proxy = await startTidy(apiConfig(origin));
      const client = await shake(proxy);
      await origin.until(({ requests }) => requests.length === 1);
      client[how]();
      await origin.until(({ openConnections }) => openConnections === 0);
      const [record] = await proxy.untilEnded(1);
      expect(record).toMatchObject({ outcome: 'client_gone', status: 0, attempts: 1 });
    },
  );

  test('a client that disconnects during the backoff ends it', async () => {
    const clock = new FakeClock();
    const origin = await startSocketOrigin();
    origin.refuse();
    const proxy = await startTidy(apiConfig(origin, '    retry: { backoff: { base: 1s } }\n'), { clock });
    const client = await shake(proxy);
    await clock.untilAsleep();
    client.abort();
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({ outcome: 'client_gone', notes: { gave_up: 'client_gone' } });
  });

  test('a client that resets the tunnel resets it upstream', async () => {
    const { far, client, proxy, origin } = await bareTunnel();
    far.on('error', () => undefined);
    client.abort();
    await origin.until(({ openConnections }) => openConnections === 0);
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({ outcome: 'client_gone', status: 101 });
  });

  test('an upstream that resets the tunnel closes the client', async () => {
    const { far, client, proxy } = await bareTunnel();
    far.resetAndDestroy();
    await client.untilClosed();
    const [record] = await proxy.untilEnded(1);
    expect(record).toMatchObject({ outcome: 'failed', error: 'connection_terminated', status: 101 });
  });

  test('99 tunnels leak nothing, however they end', async () => {
    const origin = await startSocketOrigin(
      bare((socket) => socket.on('data', () => socket.resetAndDestroy())),
    );
    const proxy = await startTidy(apiConfig(origin, '    concurrency: off\n'));
    const lives = Array.from({ length: 99 }, async (_, i) => {
      const client = await shake(proxy);
      await client.untilText('\r\n\r\n');
      if (i % 3 === 0) client.abort();
      else if (i % 3 === 1) client.halfClose();
      else await client.send('please reset');
      await client.untilClosed();
    });
    await Promise.all(lives);
    await proxy.untilEnded(99);
    await origin.until(({ openConnections }) => openConnections === 0);
    const { upstreams } = await untilState(proxy, (state) => state.upstreams[0]?.tunnels === 0);
    expect(upstreams[0]).toMatchObject({ in_flight: 0, connections: 0 });
    const count = { ok: 0, client_gone: 0, failed: 0 } as Record<string, number>;
    for (const { outcome } of proxy.ended) count[outcome ?? ''] = (count[outcome ?? ''] ?? 0) + 1;
    expect(count).toEqual({ ok: 33, client_gone: 33, failed: 33 });
  });
});

describe('draining', () => {
  test('waits for tunnels, refuses new ones, and closes the rest after drain_timeout', async () => {
    const clock = new FakeClock();
    const { client, proxy, far, origin } = await bareTunnel({ clock, start: startBreakwater });
    const idle = await connectRaw(proxy.port);
    const stopped = proxy.app.stop(10_000);
    await idle.send(handshakeBytes());
    const refused = await idle.readReply();
    expect(refused.status).toBe(503);
    expect(JSON.parse(refused.body.toString())).toMatchObject({ code: 'draining' });
    await clock.advance(9_999);
    far.write('still here');
    await client.untilText('still here');
    expect(client.end).toBeUndefined();
    await clock.advance(1);
    await client.untilClosed();
    await origin.until(({ openConnections }) => openConnections === 0);
    await clock.advance(1_000);
    await stopped;
    const tunnel = proxy.ended.find(({ status }) => status === 101);
    expect(tunnel).toMatchObject({ error: 'draining', status: 101 });
  });

  test('ends as soon as the last tunnel does', async () => {
    const clock = new FakeClock();
    const { client, proxy, far } = await bareTunnel({ clock, start: startBreakwater });
    const stopped = proxy.app.stop(10_000);
    await clock.advance(500);
    far.end('done');
    await client.untilClosed();
    client.halfClose();
    await proxy.untilEnded(1);
    await clock.advance(499);
    await stopped;
    expect(proxy.ended[0]).toMatchObject({ outcome: 'ok' });
  });
});

describe('the connection', () => {
  test('by TLS is verified', async () => {
    const certificate = selfSigned();
    const origin = await startSocketOrigin(echo, { tls: certificate });
    const proxy = await startTidy(apiConfig(origin));
    const { status, headers } = await connectTo(proxy).refused();
    expect(status).toBe(502);
    expect(headers['proxy-status']).toContain('error=tls_certificate_error');
    expect(headers['breakwater-attempts']).toBe('3');
    expect(origin.handshakes.length).toBe(0);
  });

  test('by TLS carries the tunnel, over HTTP/1.1 even if the upstream prefers HTTP/2', async () => {
    const certificate = selfSigned();
    const before = getCACertificates('default');
    setDefaultCACertificates([...before, certificate.cert]);
    onTestFinished(() => setDefaultCACertificates(before));
    const origin = await startSocketOrigin(echo, { tls: certificate });
    const proxy = await startTidy(apiConfig(origin));
    const client = connectTo(proxy);
    await client.opened();
    client.socket.send('over TLS');
    client.socket.send(Buffer.alloc(1024 * 1024, 1));
    await client.untilReceived(2);
    expect(client.received).toEqual(['over TLS', Buffer.alloc(1024 * 1024, 1)]);
    client.socket.close(4000, 'done');
    expect(await client.ended()).toEqual({ code: 4000, reason: 'done' });
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'ok', status: 101 });
  });

  test('to a private address is refused unless allowed', async () => {
    const origin = await startSocketOrigin();
    const real = dns.lookup;
    const use = (lookup: unknown) => {
      Object.assign(dns, { lookup });
      syncBuiltinESMExports();
    };
    onTestFinished(() => use(real));
    use((_name: string, _options: unknown, callback: (error: null, found: LookupAddress[]) => void) =>
      callback(null, [{ address: '127.0.0.1', family: 4 }]),
    );
    const proxy = await startTidy(`upstreams:\n  api: { url: "http://rebound.example:${origin.port}" }\n`);
    const { status, headers } = await connectTo(proxy).refused();
    expect(status).toBe(502);
    expect(headers['proxy-status']).toContain('error=destination_ip_prohibited');
    expect(origin.connections).toBe(0);
  });

  test('outlives a reload', async () => {
    const { proxy, client, far, origin } = await bareTunnel();
    proxy.rewrite(apiConfig({ url: 'http://127.0.0.1:1' }));
    await proxy.app.reload();
    far.write('still here');
    await client.untilText('still here');
    expect(origin.openConnections).toBe(1);
  });

  test('shows in state and metrics while it is a tunnel', async () => {
    const { proxy, client } = await bareTunnel();
    expect((await stateOf(proxy)).upstreams[0]).toMatchObject({ in_flight: 1, tunnels: 1, connections: 1 });
    const metrics = async () => (await fetch(`${proxy.adminUrl}/metrics`)).text();
    expect(await metrics()).toContain('breakwater_tunnels{upstream="api"} 1\n');
    client.abort();
    await untilState(proxy, ({ upstreams }) => upstreams[0]?.tunnels === 0);
    expect(await metrics()).toContain('breakwater_tunnels{upstream="api"} 0\n');
  });
});
