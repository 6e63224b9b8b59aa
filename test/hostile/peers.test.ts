import { describe, expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { listen } from '../../src/server/server.ts';
import { apiConfig } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, type OriginExchange, ok, startOrigin } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { rawHeader } from '../support/raw-http.ts';
import { type Peer, startRawOrigin } from '../support/raw-origin.ts';
import { answer, replyBytes } from '../support/raw-steps.ts';
import { startTidy, stateOf } from '../support/tidy.ts';

const get = (path = 'x') => `GET /api/${path} HTTP/1.1\r\nHost: app\r\n\r\n`;

describe('a slow client', () => {
  test('whose head does not arrive gets 408', async () => {
    const proxy = await startTidy(`clients: { head_timeout: 40ms }\n${apiConfig(await startOrigin(ok()))}`);
    const client = await connectRaw(proxy.port);
    await client.send('GET /api/x HTTP/1.1\r\nHost: a');
    const reply = await client.readReply();
    expect([reply.status, rawHeader(reply, 'content-type')]).toEqual([408, 'application/problem+json']);
    await client.untilClosed();
  });

  test('whose later head does not arrive gets 408; a pause between requests is allowed', async () => {
    const origin = await startOrigin(ok());
    const proxy = await startTidy(`clients: { head_timeout: 100ms }\n${apiConfig(origin)}`);
    const served = async () => {
      const client = await connectRaw(proxy.port);
      await client.send(get());
      expect((await client.readReply()).status).toBe(200);
      return client;
    };
    const [idle, slow] = [await served(), await served()];
    await slow.send('GET /api/y HT');
    expect((await slow.readReply()).status).toBe(408);
    await idle.send(get());
    expect((await idle.readReply()).status).toBe(200);
  });

  test.each([
    ['small', 'Content-Length: 10', 'part'],
    ['large', 'Content-Length: 100000', 'part'],
    ['chunked', 'Transfer-Encoding: chunked', '4\r\npart\r\n'],
  ])('whose body stops gets 408, and the upstream is released: %s', async (_name, framing, part) => {
    const clock = new FakeClock();
    const origin = await startOrigin(hang());
    const proxy = await startTidy(
      `clients: { body_timeout: 5s }\n${apiConfig(origin, '    timeouts: { attempt: 60s, total: 60s }\n')}`,
      { clock },
    );
    const client = await connectRaw(proxy.port);
    await client.send(`PUT /api/x HTTP/1.1\r\nHost: app\r\n${framing}\r\n\r\n${part}`);
    await origin.until((seen) => seen.requests[0]?.body.toString() === 'part');
    await clock.advance(4_999);
    expect(proxy.ended.length).toBe(0);
    // The first look sees the bytes that have come since the head, the second that there are no more.
    await clock.advance(5_001);
    const reply = await client.readReply();
    expect([reply.status, JSON.parse(reply.body.toString()).code]).toEqual([408, 'request_timeout']);
    expect(rawHeader(reply, 'breakwater-attempts')).toBe('1');
    await client.untilClosed();
    await origin.until(({ openConnections }) => openConnections === 0);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ status: 408, error: 'request_timeout' });
  });

  test('whose body stops after its reply loses the connection', async () => {
    const clock = new FakeClock();
    const proxy = await startTidy(`clients: { body_timeout: 5s }\n${apiConfig(await startOrigin(ok()))}`, {
      clock,
    });
    const client = await connectRaw(proxy.port);
    await client.send('PUT /nowhere HTTP/1.1\r\nHost: app\r\nContent-Length: 10\r\n\r\npart');
    expect((await client.readReply()).status).toBe(404);
    await clock.advance(4_999);
    expect(client.end).toBeUndefined();
    await clock.advance(1);
    await client.untilClosed();
  });

  test('whose body ends after its reply keeps the connection', async () => {
    const clock = new FakeClock();
    const proxy = await startTidy(`clients: { body_timeout: 5s }\n${apiConfig(await startOrigin(ok()))}`, {
      clock,
    });
    const client = await connectRaw(proxy.port);
    await client.send('PUT /nowhere HTTP/1.1\r\nHost: app\r\nContent-Length: 10\r\n\r\npart');
    expect((await client.readReply()).status).toBe(404);
    await client.send(`remain${get()}`);
    expect((await client.readReply()).status).toBe(200);
    expect(clock.pending).toBe(0);
  });

  test('that is paused by its upstream does not count as slow', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(({ request }) => void request.pause());
    const proxy = await startTidy(
      `clients: { body_timeout: 5s }\n${apiConfig(origin, '    timeouts: { attempt: 10m, total: 10m }\n')}`,
      { clock },
    );
    const client = await connectRaw(proxy.port);
    const bytes = 64 * 1024 * 1024;
    void client
      .send(`PUT /api/x HTTP/1.1\r\nHost: app\r\nContent-Length: ${bytes}\r\n\r\n${'x'.repeat(bytes)}`)
      .catch(() => undefined);
    await origin.untilRequests(1);
    // Bytes on loopback arrive within a few turns of the event loop.
    let sent = -1;
    while (sent !== client.socket.bytesWritten - client.socket.writableLength) {
      sent = client.socket.bytesWritten - client.socket.writableLength;
      for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    await clock.advance(60_000);
    expect(proxy.ended.length).toBe(0);
    await clock.advance(600_000);
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ status: 504 });
    client.abort();
    while (clock.pending > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test('that keeps its side open after an error loses the connection', async () => {
    const clock = new FakeClock();
    const limits = { headTimeoutMs: 60_000, maxConnections: 10 };
    const { http1: server } = await listen(
      { address: { host: '127.0.0.1', port: 0 }, tls: undefined, http2: false, ...limits },
      {
        handle: () => undefined,
        onAcceptError: () => undefined,
        serve: () => undefined,
        upgrade: () => undefined,
        malformed: () => false,
        clock,
      },
    );
    onTestFinished(() => void server.close());
    const client = await connectRaw((server.address() as { port: number }).port);
    await client.send('nonsense\r\n\r\n');
    expect((await client.readReply()).status).toBe(400);
    const left = () => new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)));
    // Later bytes must not be answered with a reset, which could destroy the answer.
    await client.send('more nonsense');
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(999);
    expect(await left()).toBe(1);
    await clock.advance(1);
    for (let turn = 0; turn < 1_000 && (await left()) > 0; turn++);
    expect(await left()).toBe(0);
    expect(clock.pending).toBe(0);
  });
});

describe('malformed bytes after a complete request', () => {
  test('do not change its reply, which is the last; queued requests do not start', async () => {
    const released = Promise.withResolvers<void>();
    const origin = await startOrigin(async ({ response }) => {
      await released.promise;
      response.end('whole');
    });
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    await client.send(`${get('one')}${get('two')}\0\0`);
    await origin.untilRequests(1);
    await client.send('\0');
    released.resolve();
    const reply = await client.readReply();
    expect([reply.status, reply.body.toString()]).toEqual([200, 'whole']);
    expect(rawHeader(reply, 'connection')).toBe('close');
    await client.untilClosed();
    await expect(client.readReply()).rejects.toThrow('no whole reply');
    expect(origin.requests.map(({ url }) => url)).toEqual(['/one']);
  });

  test('do not end a stream that has begun', async () => {
    const exchanges: OriginExchange[] = [];
    const origin = await startOrigin((exchange) => {
      exchanges.push(exchange);
      exchange.response.write('begun');
    });
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    await client.send(`${get('one')}${get('two')}\0\0`);
    await client.untilText('begun');
    exchanges[0]?.response.end('ended');
    expect((await client.readReply()).body.toString()).toBe('begunended');
    await client.untilClosed();
    expect(origin.requests.map(({ url }) => url)).toEqual(['/one']);
  });

  test('get their own reply after the reply was sent', async () => {
    const proxy = await startTidy(apiConfig(await startOrigin(ok())));
    const client = await connectRaw(proxy.port);
    await client.send(`GET /nowhere HTTP/1.1\r\nHost: app\r\n\r\n\0\0`);
    expect([(await client.readReply()).status, (await client.readReply()).status]).toEqual([404, 400]);
    await client.untilClosed();
  });
});

describe('bounds', () => {
  test('connections above the limit are closed at once, until others end', async () => {
    const proxy = await startTidy(`clients: { max_connections: 2 }\n${apiConfig(await startOrigin(ok()))}`);
    const [first, second] = [await connectRaw(proxy.port), await connectRaw(proxy.port)];
    await first.send(get());
    await first.readReply();
    await second.send(get());
    await second.readReply();
    const third = await connectRaw(proxy.port);
    await third.untilClosed();
    expect(third.received.length).toBe(0);
    first.abort();
    for (;;) {
      const next = await connectRaw(proxy.port);
      await next.send(get()).catch(() => undefined);
      const reply = await next.readReply().catch(() => undefined);
      if (reply?.status === 200) break;
    }
  });

  test('a reload changes the limit', async () => {
    const origin = await startOrigin(ok());
    const proxy = await startTidy(`clients: { max_connections: 1 }\n${apiConfig(origin)}`);
    const first = await connectRaw(proxy.port);
    await first.send(get());
    await first.readReply();
    const refused = await connectRaw(proxy.port);
    await refused.untilClosed();
    proxy.rewrite(apiConfig(origin));
    await proxy.app.reload();
    const second = await connectRaw(proxy.port);
    await second.send(get());
    expect((await second.readReply()).status).toBe(200);
  });

  test('pipelined requests run one at a time, and too many close the connection', async () => {
    const origin = await startOrigin(hang());
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    await client.send(get().repeat(101));
    await origin.untilRequests(1);
    expect((await stateOf(proxy)).upstreams[0]?.in_flight).toBe(1);
    await client.send(get());
    await client.untilClosed();
    expect((await proxy.untilEnded(1))[0]).toMatchObject({ outcome: 'client_gone' });
    await origin.until(({ openConnections }) => openConnections === 0);
    expect(origin.requests.length).toBe(1);
  });

  test('pipelined requests end with the connection of their client', async () => {
    const origin = await startOrigin(hang());
    const proxy = await startTidy(apiConfig(origin));
    const client = await connectRaw(proxy.port);
    await client.send(get().repeat(50));
    await origin.untilRequests(1);
    client.abort();
    await proxy.untilEnded(1);
    expect((await stateOf(proxy)).upstreams[0]?.in_flight).toBe(0);
    expect([origin.requests.length, proxy.ended.length]).toEqual([1, 1]);
  });

  test('endless interim replies end with the attempt timeout', async () => {
    const clock = new FakeClock();
    const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(1_000);
    const origin = await startRawOrigin(answer(hints));
    const proxy = await startTidy(apiConfig(origin, '    retry: off\n    timeouts: { attempt: 30s }\n'), {
      clock,
    });
    const client = await connectRaw(proxy.port);
    await client.send(get());
    await origin.until(({ requests }) => requests.length === 1);
    await clock.advance(30_000);
    expect((await client.readReply()).status).toBe(504);
    await origin.until(({ openConnections }) => openConnections === 0);
  });
});

describe('an upstream that sends bytes without a request', () => {
  test('on an idle connection: it is closed, and the next call has its own', async () => {
    let peer: Peer | undefined;
    const origin = await startRawOrigin(
      {
        at: 'request',
        run: (current) => {
          peer = current;
          void current.write(replyBytes(200, [], 'first'));
        },
      },
      answer(replyBytes(200, [], 'mine')),
    );
    const proxy = await startTidy(apiConfig(origin, '    retry: off\n'));
    const [first, second] = [await connectRaw(proxy.port), await connectRaw(proxy.port)];
    await first.send(get());
    expect((await first.readReply()).body.toString()).toBe('first');
    await peer?.write(replyBytes(200, [], 'stray'));
    await origin.until(({ openConnections }) => openConnections === 0);
    await second.send(get());
    expect((await second.readReply()).body.toString()).toBe('mine');
    expect(origin.connections).toBe(2);
  });

  test('with the next call already waiting for this connection', async () => {
    const stray = replyBytes(200, [], 'stray');
    let peer: Peer | undefined;
    const origin = await startRawOrigin(
      { at: 'request', run: (current) => void (peer = current) },
      answer(replyBytes(200, [], 'mine')),
    );
    const more = '    retry: off\n    concurrency: { mode: fixed, max: 1, queue: 10, wait: 20s }\n';
    const proxy = await startTidy(apiConfig(origin, more));
    const clients = await Promise.all(Array.from({ length: 5 }, () => connectRaw(proxy.port)));
    for (const client of clients) await client.send(get());
    await origin.until(({ requests }) => requests.length === 1);
    while ((await stateOf(proxy)).upstreams[0]?.scopes[0]?.concurrency?.queued !== 4);
    await peer?.write(Buffer.concat([replyBytes(200, [], 'first'), stray, stray]));
    const bodies = await Promise.all(
      clients.map(async (client) => (await client.readReply()).body.toString()),
    );
    expect(bodies.sort()).toEqual(['first', 'mine', 'mine', 'mine', 'mine']);
  });
});

test('a request line that arrives byte by byte affects only its own connection', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startTidy(apiConfig(origin));
  const slow = await connectRaw(proxy.port);
  await slow.send('G');
  const fast = await connectRaw(proxy.port);
  await fast.send(get());
  expect((await fast.readReply()).status).toBe(200);
});

describe('values of the configuration cannot inject header fields', () => {
  const CRLF = '\r\nX-Injected: 1';
  const problems = (text: string, env: Readonly<Record<string, string>> = {}) => {
    const loaded = loadConfig('config.yaml', env, () => text);
    return loaded.ok ? [] : loaded.problems;
  };
  const upstream = (more: string) => `upstreams:\n  api:\n    url: https://api.example\n    ${more}\n`;

  test.each([
    ['a header’s value', upstream(`headers: { set: { x-a: ${JSON.stringify(`a${CRLF}`)} } }`)],
    ['a header’s value with NUL', upstream('headers: { set: { x-a: "a\\0b" } }')],
    ['a header’s name', upstream(`headers: { set: { ${JSON.stringify(`x-a${CRLF}`)}: a } }`)],
    ['a header’s name with a space', upstream('headers: { set: { "x a": a } }')],
    ['a mount’s host', upstream(`mount: { host: ${JSON.stringify(`a${CRLF}`)} }`)],
    ['a mount’s path', upstream(`mount: { path: ${JSON.stringify(`/a${CRLF}`)} }`)],
    ['the idempotency header', upstream(`retry: { idempotency_header: ${JSON.stringify(`k${CRLF}`)} }`)],
    ['a name', `upstreams:\n  ${JSON.stringify(`a${CRLF}`)}: { url: "https://api.example" }\n`],
  ])('%s', (_name, text) => expect(problems(text)).not.toEqual([]));

  test('the URL, which loses its line ends', () => {
    const url = JSON.stringify(`https://api.example/a${CRLF}`);
    const loaded = loadConfig('config.yaml', {}, () => `upstreams:\n  api: { url: ${url} }\n`);
    expect(loaded.ok && loaded.config.upstreams[0]?.basePath).toBe('/aX-Injected:%201');
  });

  test('a value from the environment', () => {
    const text = upstream('headers: { set: { x-a: "Bearer ${KEY}" } }');
    expect(problems(text, { KEY: `a${CRLF}` })).not.toEqual([]);
    expect(problems(text, { KEY: 'a' })).toEqual([]);
  });

  test.each(['host', 'content-length', 'transfer-encoding', 'connection'])(
    'a header that frames: %s',
    (name) => expect(problems(upstream(`headers: { set: { ${name}: "1" } }`))).not.toEqual([]),
  );
});

test('a truncated body does not look complete to an HTTP/1.0 client', async () => {
  let peer: Peer | undefined;
  const origin = await startRawOrigin({
    at: 'request',
    run: async (current) => {
      peer = current;
      await current.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n');
    },
  });
  const proxy = await startTidy(apiConfig(origin));
  const client = await connectRaw(proxy.port);
  await client.send('GET /api/x HTTP/1.0\r\n\r\n');
  await client.untilText('part');
  peer?.reset();
  expect(await client.untilClosed()).toBe('reset');
});

test('Connection: close in trailers closes the connection', async () => {
  const origin = await startOrigin(ok());
  const proxy = await startTidy(apiConfig(origin));
  const client = await connectRaw(proxy.port);
  await client.send(
    `POST /api/x HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nConnection: close\r\n\r\n${get('smuggled')}`,
  );
  expect((await client.readReply()).status).toBe(200);
  await client.untilClosed();
  expect(origin.requests.length).toBe(1);
});
