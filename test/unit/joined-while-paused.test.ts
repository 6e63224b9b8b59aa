import { Readable } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { joinWhilePaused } from '../../src/server/joined-while-paused.ts';
import { listen } from '../../src/server/server.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { connectRaw } from '../support/raw-client.ts';

const BYTES = 60_000;

/** An upload that its source fills by `push`, as node's parser does. */
function start() {
  let asked = 0;
  const stream = new Readable({ read: () => asked++, highWaterMark: 64 * 1024 });
  joinWhilePaused(stream);
  const letter = (i: number) => String.fromCharCode(97 + (i % 26));
  return {
    stream,
    asked: () => asked,
    sends: (from: number, to: number) => {
      let more = true;
      for (let i = from; i < to; i++) more = stream.push(Buffer.from(letter(i)));
      return more;
    },
    expected: (length: number) => Array.from({ length }, (_, i) => letter(i)).join(''),
  };
}

/** Objects in the queue of the stream, and the bytes in them. */
function queued(stream: Readable) {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  return chunks;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('single bytes that arrive during a pause are queued in a few blocks, in order', async () => {
  const { stream, sends, expected } = start();
  const chunks = queued(stream);
  await turn();
  sends(0, 10);
  stream.pause();
  sends(10, BYTES);
  stream.resume();
  sends(BYTES, BYTES + 10);
  await turn();
  expect(Buffer.concat(chunks).toString()).toBe(expected(BYTES + 10));
  expect(chunks.length).toBeLessThan(30);
});

test('the same before the first read', async () => {
  const { stream, sends, expected } = start();
  sends(0, BYTES);
  stream.push(null);
  const chunks = queued(stream);
  await new Promise((resolve) => stream.on('end', resolve));
  expect(Buffer.concat(chunks).toString()).toBe(expected(BYTES));
  expect(chunks.length).toBeLessThan(10);
});

test('a paused upload stops reading, and a resumed one reads again', async () => {
  const { stream, sends, asked } = start();
  queued(stream);
  await turn();
  stream.pause();
  expect(sends(0, 1)).toBe(false);
  const before = asked();
  await turn();
  expect(asked()).toBe(before);
  stream.resume();
  await turn();
  expect(asked()).toBeGreaterThan(before);
});

test('a large chunk and the end follow the earlier small ones', async () => {
  const { stream, sends, expected } = start();
  const chunks = queued(stream);
  await turn();
  stream.pause();
  sends(0, 20);
  stream.push(Buffer.alloc(2_000, 'L'));
  sends(20, 30);
  stream.push(null);
  stream.resume();
  await new Promise((resolve) => stream.on('end', resolve));
  const all = expected(30);
  expect(Buffer.concat(chunks).toString()).toBe(`${all.slice(0, 20)}${'L'.repeat(2_000)}${all.slice(20)}`);
});

test('the server joins the small chunks of an upload', async () => {
  const { promise: upload, resolve } = Promise.withResolvers<Readable>();
  const { http1: server } = await listen(
    {
      address: { host: '127.0.0.1', port: 0 },
      tls: undefined,
      http2: false,
      headTimeoutMs: 60_000,
      maxConnections: 10,
    },
    {
      handle: resolve,
      onAcceptError: () => undefined,
      serve: () => undefined,
      upgrade: () => undefined,
      malformed: () => false,
      clock: new FakeClock(),
    },
  );
  onTestFinished(() => void server.close());
  const client = await connectRaw((server.address() as { port: number }).port);
  const body = '1\r\na\r\n'.repeat(100);
  await client.send(`POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${body}0\r\n\r\n`);
  const req = await upload;
  await turn();
  const chunks = queued(req);
  await new Promise((ended) => req.on('end', ended));
  expect(Buffer.concat(chunks).toString()).toBe('a'.repeat(100));
  expect(chunks.length).toBe(1);
});
