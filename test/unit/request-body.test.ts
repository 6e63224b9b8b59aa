import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import {
  type BodyReader,
  EMPTY_BODY,
  RequestBodyBroken,
  RequestBodyNotBuffered,
} from '../../src/http/bodies/request-body.ts';
import { type ReplayOptions, StreamedBody } from '../../src/http/bodies/streamed-body.ts';
import { ByteBudget } from '../../src/http/byte-budget.ts';
import { settled } from '../support/stub-call.ts';

const KIB = 1024;

/** The client's side: a stream that can be seen to be held back. */
class Client extends EventEmitter {
  paused = false;
  pause = () => {
    this.paused = true;
  };
  resume = () => {
    this.paused = false;
  };
  send = (bytes: string | Buffer) => void this.emit('data', Buffer.from(bytes));
  finish = () => {
    this.emit('end');
    this.emit('close');
  };
  leave = () => void this.emit('close');
}

function start(options: Partial<ReplayOptions> = {}) {
  const client = new Client();
  const clock = { now: 0 };
  const memory = options.memory ?? new ByteBudget(1_000 * KIB);
  const notBuffered: string[] = [];
  const body = new StreamedBody(client, {
    declaredBytes: undefined,
    maxBytes: 100,
    memory,
    clock: { now: () => clock.now },
    onNotBuffered: (reason) => notBuffered.push(reason),
    ...options,
  });
  return { client, memory, body, notBuffered, clock };
}

function wholeOf(body: StreamedBody): string | undefined {
  const source = body.open();
  if (Array.isArray(source)) return Buffer.concat(source as Buffer[]).toString();
  return source instanceof Buffer ? source.toString() : undefined;
}

/** Reads as an attempt does; `text` grows as it goes. */
function read(source: unknown) {
  const reading = { text: '', ended: false, failed: undefined as unknown };
  const run = async () => {
    if (source instanceof Buffer) reading.text = source.toString();
    else if (source !== undefined) for await (const chunk of source as BodyReader) reading.text += chunk;
    reading.ended = true;
  };
  void run().catch((error: unknown) => {
    reading.failed = error;
  });
  return reading;
}

test('an empty body can be sent any number of times', () => {
  expect(EMPTY_BODY.replayable).toBe(true);
  expect(EMPTY_BODY.open()).toBeUndefined();
  expect(EMPTY_BODY.open()).toBeUndefined();
});

describe('buffered while it streams', () => {
  test('a second attempt gets earlier and later bytes', async () => {
    const { client, body, memory } = start();
    client.send('ab');
    const first = body.open() as BodyReader;
    const one = read(first);
    client.send('cd');
    await settled();
    expect(one).toMatchObject({ text: 'abcd', ended: false });
    first.close();
    expect(body.replayable).toBe(true);
    const two = read(body.open());
    client.send('ef');
    client.finish();
    await settled();
    expect(two).toEqual({ text: 'abcdef', ended: true, failed: undefined });
    // The last block has room for two more.
    expect(memory.used).toBe(8);
    body.dispose();
    expect(memory.used).toBe(0);
  });

  test('a closed reader reads nothing more, even if it was waiting', async () => {
    const { client, body } = start();
    const reader = body.open() as BodyReader;
    const reading = read(reader);
    client.send('ab');
    await settled();
    reader.close();
    client.send('cd');
    client.finish();
    await settled();
    expect(reading.text).toBe('ab');
    expect(wholeOf(body)).toBe('abcd');
  });

  test('a complete body needs no reader, is the same for each attempt, and is counted once', () => {
    const { client, body, memory } = start();
    client.send('ab');
    client.send('cd');
    client.finish();
    const first = body.open();
    expect(first).toEqual([Buffer.from('ab'), Buffer.from('cd')]);
    expect(body.open()).toBe(first);
    expect(memory.used).toBe(4);
    body.dispose();
    expect(memory.used).toBe(0);
  });

  test('a reader continues independently of a later attempt that has read everything', async () => {
    const { client, body } = start();
    const slow = body.open() as BodyReader;
    const iterator = slow[Symbol.asyncIterator]();
    client.send('ab');
    client.send('cd');
    client.finish();
    expect((await iterator.next()).value).toEqual(Buffer.from('ab'));
    expect(body.open()).toEqual([Buffer.from('ab'), Buffer.from('cd')]);
    expect((await iterator.next()).value).toEqual(Buffer.from('cd'));
    expect((await iterator.next()).done).toBe(true);
  });

  test('a chunked body that is empty', () => {
    const { client, body } = start();
    client.finish();
    expect(body.open()).toEqual([]);
    expect(body.replayable).toBe(true);
  });
});

describe('a body that must not be buffered is sent once', () => {
  const tooLarge = 'x'.repeat(60);

  test.each([
    ['over the cap', { maxBytes: 100 }, 'cap'],
    ['over what all calls may buffer', { maxBytes: 1_000, memory: new ByteBudget(100) }, 'memory'],
  ])('%s', async (_name, options, reason) => {
    const { client, body, memory, notBuffered } = start(options);
    const first = read(body.open());
    client.send(tooLarge);
    await settled();
    expect([memory.used, body.replayable, notBuffered]).toEqual([60, true, []]);
    client.send(tooLarge);
    expect([memory.used, body.replayable, notBuffered]).toEqual([0, false, [reason]]);
    client.send('end');
    client.finish();
    await settled();
    expect(first).toEqual({ text: `${tooLarge}${tooLarge}end`, ended: true, failed: undefined });
    expect(() => body.open()).toThrow(RequestBodyNotBuffered);
    body.dispose();
    expect([memory.used, notBuffered]).toEqual([0, [reason]]);
  });

  test('exactly the cap is buffered', () => {
    const { client, body, notBuffered } = start({ maxBytes: 120 });
    client.send(tooLarge);
    client.send(tooLarge);
    client.finish();
    expect(wholeOf(body)).toHaveLength(120);
    expect([body.replayable, notBuffered]).toEqual([true, []]);
  });

  test('a declared length over the cap is reported before the first byte, and waiting bytes are counted', async () => {
    const { client, body, memory, notBuffered } = start({ declaredBytes: 101 });
    expect(notBuffered).toEqual(['cap']);
    expect(body.replayable).toBe(true);
    client.send(tooLarge);
    expect(memory.used).toBe(60);
    read(body.open());
    await settled();
    expect(memory.used).toBe(0);
  });

  test('a complete unbuffered body is for the first attempt only', () => {
    const { client, body, notBuffered } = start({ maxBytes: 10 });
    client.send(tooLarge);
    client.finish();
    expect(body.replayable).toBe(true);
    expect(wholeOf(body)).toBe(tooLarge);
    expect([body.replayable, notBuffered]).toEqual([false, ['cap']]);
    expect(() => body.open()).toThrow(RequestBodyNotBuffered);
  });

  test('if no policy would repeat it, nothing is buffered and nothing reported', async () => {
    const { client, body, memory, notBuffered } = start({ maxBytes: 0, declaredBytes: 4 });
    const first = read(body.open());
    client.send('ab');
    await settled();
    expect([memory.used, body.replayable]).toEqual([0, false]);
    client.send('cd');
    client.finish();
    await settled();
    expect(first.text).toBe('abcd');
    expect(notBuffered).toEqual([]);
  });

  test('bytes that the slower of two attempts has not read stay available', async () => {
    const { client, body, notBuffered } = start();
    const first = read(body.open());
    client.send(tooLarge);
    await settled();
    const second = (body.open() as BodyReader)[Symbol.asyncIterator]();
    client.send(tooLarge);
    await settled();
    expect([first.text.length, notBuffered]).toEqual([120, ['cap']]);
    expect((await second.next()).value?.toString()).toBe(tooLarge);
    expect((await second.next()).value?.toString()).toBe(tooLarge);
    client.send('end');
    client.finish();
    expect((await second.next()).value?.toString()).toBe('end');
    expect((await second.next()).done).toBe(true);
    await settled();
    expect(first).toMatchObject({ text: `${tooLarge}${tooLarge}end`, ended: true });
  });
});

describe('the client is paused', () => {
  const chunk = Buffer.alloc(100 * KIB);

  test('at 256 KiB that no attempt has read, and resumed as they are read', async () => {
    const { client, body } = start({ maxBytes: 10_000 * KIB });
    const iterator = (body.open() as BodyReader)[Symbol.asyncIterator]();
    client.send(chunk);
    client.send(chunk);
    expect(client.paused).toBe(false);
    client.send(chunk);
    expect(client.paused).toBe(true);
    await iterator.next();
    expect(client.paused).toBe(false);
  });

  test('by the furthest attempt: reading earlier bytes again does not resume it', async () => {
    const { client, body } = start({ maxBytes: 10_000 * KIB });
    const first = (body.open() as BodyReader)[Symbol.asyncIterator]();
    client.send(chunk);
    await first.next();
    for (let i = 0; i < 3; i++) client.send(chunk);
    expect(client.paused).toBe(true);
    const second = (body.open() as BodyReader)[Symbol.asyncIterator]();
    await second.next();
    expect(client.paused).toBe(true);
    await second.next();
    expect(client.paused).toBe(false);
  });

  test('not after the call: later bytes are read and dropped', () => {
    const { client, body, memory } = start({ maxBytes: 10_000 * KIB });
    for (let i = 0; i < 3; i++) client.send(chunk);
    expect(client.paused).toBe(true);
    body.dispose();
    expect(client.paused).toBe(false);
    for (let i = 0; i < 3; i++) client.send(chunk);
    expect([client.paused, memory.used]).toEqual([false, 0]);
  });
});

describe('a client that disconnects in the middle', () => {
  test('breaks the reading attempt: its bytes are not complete', async () => {
    const { client, body } = start();
    const reading = read(body.open());
    client.send('ab');
    client.leave();
    await settled();
    expect(reading).toMatchObject({ text: 'ab', ended: false });
    expect(reading.failed).toBeInstanceOf(RequestBodyBroken);
  });

  test('breaks later attempts too', async () => {
    const { client, body } = start();
    const iterator = (body.open() as BodyReader)[Symbol.asyncIterator]();
    client.send('ab');
    client.leave();
    await iterator.next();
    await expect((async () => iterator.next())()).rejects.toThrow(RequestBodyBroken);
    expect(body.replayable).toBe(false);
    expect(() => body.open()).toThrow(RequestBodyBroken);
  });

  test('settles all waits for the last byte', async () => {
    const { client, body } = start();
    const settled = () => new Promise<void>((resolve) => body.onSettled(resolve));
    const waiting = settled();
    client.leave();
    await expect(Promise.all([waiting, settled()])).resolves.toBeDefined();
  });
});

test('disposing ends all readers, and frees memory once', async () => {
  const { client, body, memory } = start();
  const reading = read(body.open());
  client.send('ab');
  await settled();
  body.dispose();
  body.dispose();
  await settled();
  expect(memory.used).toBe(0);
  expect(reading.text).toBe('ab');
});

test('the time of the last progress of the upload is now while an attempt waits for bytes', async () => {
  const { client, body, clock } = start();
  clock.now = 5;
  expect(body.broughtOnAt(7)).toBe(0);
  client.send('ab');
  expect(body.broughtOnAt(7)).toBe(5);
  const iterator = (body.open() as BodyReader)[Symbol.asyncIterator]();
  await iterator.next();
  expect(body.broughtOnAt(7)).toBe(5);
  const waiting = iterator.next();
  expect(body.broughtOnAt(7)).toBe(7);
  clock.now = 8;
  client.finish();
  await waiting;
  expect(body.broughtOnAt(9)).toBe(5);
  expect(EMPTY_BODY.broughtOnAt(9)).toBe(Number.NEGATIVE_INFINITY);
});
