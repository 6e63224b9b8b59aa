import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SoakedProxy } from './proxy.ts';

/** Bodies far larger than the buffers of the proxy, which runs in its own process. */

const GIB = 2 ** 30;
const BLOCK = 64 * 1024;

/** Garbage of a few collections and the sockets' buffers. A buffered body would be sixteen times as much. */
const MOST_GROWTH_BYTES = 64 * 2 ** 20;

const CONFIG = (port: number) => `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
upstreams:
  api:
    url: http://127.0.0.1:${port}
    allow_private: true
    resume: true
    retry: { backoff: { base: 0ms, jitter: none } }
`;

/** Each block begins with its number, so that lost, repeated and moved ones are detected. */
function* blocks(from: number, to: number): Generator<Buffer> {
  for (let at = from; at < to; at += BLOCK) {
    const block = Buffer.alloc(BLOCK);
    block.writeDoubleBE(at / BLOCK);
    yield block;
  }
}

/** The number of received bytes, up to the first wrong block. */
async function count(body: AsyncIterable<Buffer>): Promise<number> {
  let at = 0;
  for await (const chunk of body) {
    const start = Math.ceil(at / BLOCK) * BLOCK - at;
    // A number that is split between two chunks is not checked; there are thousands of others.
    for (let i = start; i + 8 <= chunk.length; i += BLOCK) {
      if (chunk.readDoubleBE(i) !== (at + i) / BLOCK) return at + i;
    }
    at += chunk.length;
  }
  return at;
}

async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.method === 'PUT') return void res.end(String(await count(req)));
  const [, bytes, cut] = (req.url ?? '').split('/').map(Number) as [number, number, number];
  const from = Number(/^bytes=(\d+)-$/.exec(req.headers.range ?? '')?.[1] ?? 0);
  const start = from - (from % BLOCK);
  res.writeHead(from === 0 ? 200 : 206, {
    etag: '"v1"',
    'content-length': bytes - from,
    ...(from > 0 && { 'content-range': `bytes ${from}-${bytes - 1}/${bytes}` }),
  });
  const [first = Buffer.alloc(0)] = blocks(start, start + BLOCK);
  const body = function* () {
    yield first.subarray(from - start);
    yield* blocks(start + BLOCK, from === 0 && cut > 0 ? cut : bytes);
  };
  await pipeline(Readable.from(body()), res, { end: from > 0 || !(cut > 0) });
  if (from === 0 && cut > 0) res.destroy();
}

let origin: Server;
let proxy: SoakedProxy;

beforeAll(async () => {
  origin = createServer((req, res) => void serve(req, res).catch(() => res.destroy()));
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  proxy = new SoakedProxy(CONFIG((origin.address() as AddressInfo).port));
  await proxy.ready();
  // Code is compiled and pools are filled: only then is "where it began".
  await download(64 * 2 ** 20);
  await upload(64 * 2 ** 20);
});

afterAll(async () => {
  await proxy.stop();
  origin.closeAllConnections();
  origin.close();
});

async function download(bytes: number, cut = 0): Promise<number> {
  const req = request({ port: proxy.port, path: `/api/${bytes}/${cut}` }).end();
  const [res] = (await once(req, 'response')) as [IncomingMessage];
  return count(res);
}

async function upload(bytes: number): Promise<number> {
  const req = request({
    port: proxy.port,
    path: '/api/',
    method: 'PUT',
    headers: { 'content-length': bytes },
  });
  const answered = once(req, 'response') as Promise<[IncomingMessage]>;
  await pipeline(Readable.from(blocks(0, bytes)), req);
  const [res] = await answered;
  let text = '';
  for await (const chunk of res) text += String(chunk);
  return Number(text);
}

test.each([
  ['1 GiB down', () => download(GIB)],
  ['1 GiB up', () => upload(GIB)],
  ['1 GiB down that breaks in the middle and is continued', () => download(GIB, GIB / 2)],
])('%s arrives byte for byte, with constant memory', { timeout: 60_000 }, async (_what, transfer) => {
  const before = await proxy.holdings();
  expect(await transfer()).toBe(GIB);
  const after = await proxy.holdings();
  expect(after.peakRssBytes - before.peakRssBytes).toBeLessThan(MOST_GROWTH_BYTES);
  expect(after.heapBytes - before.heapBytes).toBeLessThan(MOST_GROWTH_BYTES / 8);
  expect(after.externalBytes - before.externalBytes).toBeLessThan(MOST_GROWTH_BYTES / 8);
  expect(proxy.complaints).toBe('');
});
