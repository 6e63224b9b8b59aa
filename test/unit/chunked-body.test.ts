import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { bodySink } from '../../src/server/chunked-body.ts';
import { connectRaw } from '../support/raw-client.ts';

/** The bytes that a client receives after the head of a response that `answer` writes. */
async function received(request: string, answer: (res: ServerResponse) => void): Promise<string> {
  const server = createServer((_, res) => answer(res)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const client = await connectRaw((server.address() as AddressInfo).port);
  await client.send(`${request}\r\nhost: x\r\nconnection: close\r\n\r\n`);
  await client.untilClosed();
  return client.received.toString('latin1').replace(/^.*?\r\n\r\n/s, '');
}

const SIZES = [1, 15, 16, 1_024, 16 * 1_024, 16 * 1_024 + 1];

/** Each chunk with another letter, so that a wrong order shows. */
const chunks = SIZES.map((size, i) => Buffer.alloc(size, 97 + i));

function answer(res: ServerResponse): void {
  res.writeHead(200);
  const sink = bodySink(res);
  for (const chunk of [...chunks, Buffer.alloc(0)]) sink.write(chunk);
  sink.addTrailers?.([['x-sum', '7']]);
  sink.end();
}

test('chunks of all sizes are coded as RFC 9112 says, in order and with trailers', async () => {
  const coded = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk.toString()}\r\n`);
  expect(await received('GET / HTTP/1.1', answer)).toBe(`${coded.join('')}0\r\nx-sum: 7\r\n\r\n`);
});

test('an HTTP/1.0 client gets the bytes alone', async () => {
  expect(await received('GET / HTTP/1.0', answer)).toBe(chunks.join(''));
});

test('a response to HEAD has no body', async () => {
  expect(await received('HEAD / HTTP/1.1', answer)).toBe('');
});

test('a body that breaks has no last chunk', async () => {
  const broken = (res: ServerResponse) => {
    res.writeHead(200);
    const sink = bodySink(res);
    sink.write(Buffer.from('half'));
    setImmediate(() => sink.destroy());
  };
  expect(await received('GET / HTTP/1.1', broken)).toBe('4\r\nhalf\r\n');
});
