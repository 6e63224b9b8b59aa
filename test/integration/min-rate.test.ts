import { once } from 'node:events';
import { connect } from 'node:net';
import type { Readable } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { apiConfig, startBreakwater } from '../support/breakwater.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { connectHttp2 } from '../support/http2-client.ts';
import { type Http2Step, startHttp2Origin } from '../support/http2-origin.ts';
import { early, ok, startOrigin } from '../support/origin.ts';
import { connectRaw } from '../support/raw-client.ts';
import { stateOf } from '../support/tidy.ts';

const WINDOW_MS = 9_000;
const HEAD = 'PUT /api/ HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n';

async function start(origin: { url: string }, rate: string, more: string) {
  const clock = new FakeClock();
  const clients = `clients: { http2: true, body_timeout: 9s, send_timeout: 9s, min_rate: ${rate} }\n`;
  const proxy = await startBreakwater(clients + apiConfig(origin, more), { clock });
  return { clock, proxy };
}

test('a gRPC call may send few bytes for any time', async () => {
  const answer: Http2Step = ({ stream }) =>
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' });
      stream.end();
    });
  const origin = await startHttp2Origin([answer], { plain: true });
  const { clock, proxy } = await start(origin, '10B', '    connection: { http2: require }\n');
  const client = connectHttp2(proxy.url);
  const stream = client.request({
    ':method': 'POST',
    ':path': '/api/x',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const answered = once(stream, 'response');
  await clock.advance(4_000);
  for (let sent = 1; sent <= 4; sent++) {
    stream.write('abc');
    await origin.until(({ requests }) => requests[0]?.body.length === 3 * sent);
    await clock.advance(WINDOW_MS);
  }
  stream.end();
  const [head] = (await answered) as [Record<string, unknown>];
  expect(head[':status']).toBe(200);
  await once(stream.resume(), 'close');
});

test('a slow upload whose call waits for its next attempt is not cut off', async () => {
  const origin = await startOrigin(early(503, { 'retry-after': '40' }), ok('second'));
  const { clock, proxy } = await start(origin, '10B', '');
  const client = await connectRaw(proxy.port);
  await client.send(`${HEAD}3\r\nabc\r\n`);
  const inBackoff = () => clock.deadlines.some((at) => at >= 40_000 && at < 60_000);
  while (!inBackoff()) await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(4_000);
  for (let windows = 0; windows < 4; windows++) {
    await client.send('3\r\nabc\r\n');
    // Its bytes were with the kernel before this was asked.
    await stateOf(proxy);
    await clock.advance(WINDOW_MS);
  }
  await clock.advance(4_000);
  await origin.untilRequests(2);
  await client.send('0\r\n\r\n');
  expect((await client.readReply()).body.toString()).toBe('second');
  expect(origin.requests[1]?.body.length).toBe(15);
});

test('a slow upload that its upstream does not read is not cut off', async () => {
  const origin = await startOrigin(async ({ response, body }) => {
    await read.promise;
    response.end(`got ${(await body()).length}`);
  });
  const read = Promise.withResolvers<void>();
  const { clock, proxy } = await start(origin, '10B', '    request: { max_replay: 64KiB }\n');
  const client = await connectRaw(proxy.port);
  const piece = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(1024 * 1024), Buffer.from('\r\n')]);
  client.socket.write(HEAD);
  for (let n = 0; n < 24; n++) client.socket.write(piece);
  client.socket.write('0\r\n\r\n');
  const left = () => client.socket.writableLength;
  // Held back: the kernel's buffers on the way are full.
  for (let before = -1; left() !== before; ) {
    before = left();
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  expect(left()).toBeGreaterThan(0);
  for (let windows = 0; windows < 4; windows++) await clock.advance(WINDOW_MS);
  read.resolve();
  expect((await client.readReply()).body.toString()).toBe(`got ${24 * 1024 * 1024}`);
});

/** Reads about this many bytes, then stops. */
async function take(from: Readable, bytes: number): Promise<void> {
  for (let taken = 0; taken < bytes; ) {
    const chunk = from.read() as Buffer | null;
    if (chunk === null) await once(from, 'readable');
    else taken += chunk.length;
  }
}

const READERS = {
  'HTTP/1.1': (url: string): Readable => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    socket.write('GET /api/ HTTP/1.1\r\nhost: x\r\n\r\n');
    return socket;
  },
  'HTTP/2': (url: string): Readable =>
    connectHttp2(url)
      .request({ ':path': '/api/' })
      .on('error', () => undefined),
};

test.each(Object.entries(READERS))(
  'a client that takes some of its response in each window, but too little, is cut off, %s',
  async (_name, request) => {
    const origin = await startOrigin(async ({ response }) => {
      const piece = Buffer.alloc(256 * 1024);
      const closed = once(response, 'close');
      while (!response.destroyed) {
        if (response.write(piece)) continue;
        const drained = new AbortController();
        await Promise.race([once(response, 'drain', drained), closed]).finally(() => drained.abort());
      }
    });
    const { clock, proxy } = await start(origin, '100MiB', '');
    const reader = request(proxy.url);
    for (let windows = 0; windows < 30 && proxy.ended.length === 0; windows++) {
      await take(reader, 4 * 1024 * 1024);
      // Usually long enough that all buffers on the way are full again. Otherwise the window does not count.
      await new Promise((resolve) => setTimeout(resolve, 300));
      await clock.advance(WINDOW_MS);
    }
    expect(proxy.ended[0]).toMatchObject({ outcome: 'client_gone', error: 'client_gone' });
  },
);
