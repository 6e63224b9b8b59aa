import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { bodySink } from '../../src/server/chunked-body.ts';
import { connectRaw } from '../support/raw-client.ts';

/** The bytes that a client receives after the head of a response that `answer` writes. */
const received = async (request: string, answer: (res: ServerResponse) => void): Promise<string> =>
  (await receivedAll(request, answer)).replace(/^HTTP.*?\r\n\r\n/s, '');

async function receivedAll(request: string, answer: (res: ServerResponse) => void): Promise<string> {
  const server = createServer((_, res) => answer(res)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const client = await connectRaw((server.address() as AddressInfo).port);
  await client.send(`${request}\r\nhost: x\r\nconnection: close\r\n\r\n`);
  await client.untilClosed();
  return client.received.toString('latin1');
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

test('chunks that are sent at once follow the head and each other, and precede the end', async () => {
  const paced = (res: ServerResponse) => {
    res.writeHead(200);
    const sink = bodySink(res);
    sink.writeNow?.(Buffer.from('first'));
    for (const chunk of chunks) sink.writeNow?.(chunk);
    setImmediate(() => {
      for (const text of ['1', '', '2']) sink.writeNow?.(Buffer.from(text));
      sink.write(Buffer.from('3'));
      sink.writeNow?.(Buffer.from('4'));
      sink.end();
    });
  };
  const all = ['first', ...chunks.map(String), '1', '2', '3', '4'];
  const coded = all.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`);
  expect(await received('GET / HTTP/1.1', paced)).toBe(`${coded.join('')}0\r\n\r\n`);
});

test('a chunk that is sent at once leaves within the call if the connection is idle', async () => {
  const sent: number[] = [];
  const idle = (res: ServerResponse) => {
    res.writeHead(200);
    const sink = bodySink(res);
    const write = (text: string) => {
      const before = res.socket?.bytesWritten ?? 0;
      sink.writeNow?.(Buffer.from(text));
      sent.push((res.socket?.bytesWritten ?? 0) - before);
      expect(res.writableLength).toBe(0);
    };
    write('1');
    write('2');
    setImmediate(() => {
      write('3');
      sink.end();
    });
  };
  expect(await received('GET / HTTP/1.1', idle)).toBe('1\r\n1\r\n1\r\n2\r\n1\r\n3\r\n0\r\n\r\n');
  expect(sent.slice(1)).toEqual([6, 6]);
});

test('a client that does not read holds back chunks that are sent at once, until it reads', async () => {
  let held = 0;
  const flooded = (res: ServerResponse) => {
    res.writeHead(200);
    const sink = bodySink(res);
    const chunk = Buffer.alloc(16 * 1_024, 'x');
    let left = 400;
    const more = () => {
      while (left-- > 0) if (sink.writeNow?.(chunk) === false) return void held++;
      sink.end();
    };
    sink.on('drain', more);
    more();
  };
  expect((await received('GET / HTTP/1.1', flooded)).length).toBe(400 * (16 * 1_024 + 8) + 5);
  expect(held).toBeGreaterThan(0);
});

test('a response to HEAD has no body that is sent at once either', async () => {
  const head = (res: ServerResponse) => {
    res.writeHead(200, { 'transfer-encoding': 'chunked' });
    const sink = bodySink(res);
    sink.write(Buffer.from('1'));
    setImmediate(() => {
      sink.writeNow?.(Buffer.from('2'));
      sink.end();
    });
  };
  expect(await received('HEAD / HTTP/1.1', head)).toBe('');
});

test('a response that waits for an earlier one sends nothing before it', async () => {
  const waiting: (() => void)[] = [];
  const pipelined = (res: ServerResponse) => {
    res.writeHead(200);
    const sink = bodySink(res);
    for (const letter of 'ab') sink.writeNow?.(Buffer.from(letter));
    waiting.push(() => {
      sink.writeNow?.(Buffer.from('c'));
      sink.end();
    });
    if (waiting.length === 2) for (const end of waiting.reverse()) end();
  };
  const both = await received('GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1', pipelined);
  const body = ['a', 'b', 'c'].map((letter) => `1\r\n${letter}\r\n`).join('');
  expect(both.split(/HTTP\/1\.1 200 OK.*?\r\n\r\n/s)).toEqual([`${body}0\r\n\r\n`, `${body}0\r\n\r\n`]);
});

test('nothing is sent after the end', async () => {
  const ended = (res: ServerResponse) => {
    res.on('error', () => undefined);
    res.writeHead(200);
    const sink = bodySink(res);
    sink.write(Buffer.from('1'));
    setImmediate(() => {
      sink.end();
      sink.writeNow?.(Buffer.from('2'));
    });
  };
  expect(await received('GET / HTTP/1.1', ended)).toBe('1\r\n1\r\n0\r\n\r\n');
});
