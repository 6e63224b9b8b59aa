import { gzipSync, zstdCompressSync } from 'node:zlib';
import { EventStreamCodec } from '@smithy/core/event-streams';
import { describe, expect, test } from 'vitest';
import { LineEvent, type StreamEvent } from '../../src/http/event-stream/event.ts';
import { eventReader } from '../../src/http/event-stream/reader.ts';

const MAX_BYTES = 256;

interface Seen {
  readonly events: (readonly [name: string, data: string | undefined])[];
  ended: boolean;
  unreadable: boolean;
}

/** The events that a reader reports of `chunks`. Resolves after its end. */
function read(type: string, chunks: readonly (string | Buffer)[], coding = 'identity'): Promise<Seen> {
  return new Promise((resolve) => {
    const seen: Seen = { events: [], ended: false, unreadable: false };
    const reader = eventReader(['Content-Type', type, 'Content-Encoding', coding], MAX_BYTES, {
      onEvent: ({ name, data }: StreamEvent) => void seen.events.push([name, data]),
      onAllRead: () => {
        seen.ended = true;
        resolve(seen);
      },
      onUnreadable: () => {
        seen.unreadable = true;
        resolve(seen);
      },
      onReady: () => undefined,
    });
    for (const chunk of chunks) reader?.read(Buffer.from(chunk));
    reader?.end();
  });
}

const sse = async (...chunks: readonly (string | Buffer)[]) =>
  (await read('text/event-stream', chunks)).events;

describe('server-sent events', () => {
  test('an event has a name and its lines of data', async () => {
    expect(await sse('event: a\ndata: 1\ndata:2\ndata:  3\n\ndata: x\n\n')).toEqual([
      ['a', '1\n2\n 3'],
      ['message', 'x'],
    ]);
  });

  test('an empty chunk does not divide a CR from its LF', async () => {
    expect(await sse('data: 1\r', '', '\ndata: 2\n\n')).toEqual([['message', '1\n2']]);
  });

  test('no text is made of an event with one line of data within a chunk', () => {
    const kinds: string[] = [];
    const reader = eventReader(['content-type', 'text/event-stream'], MAX_BYTES, {
      onEvent: (event) => void kinds.push(`${event.data} ${event instanceof LineEvent ? 'bytes' : 'text'}`),
      onAllRead: () => undefined,
      onUnreadable: () => undefined,
      onReady: () => undefined,
    });
    for (const chunk of ['data: 1\n\ndata: 2\n', '\nda', 'ta: 3\nid: 7\n\n', 'data: 4\ndata: 5\n\n'])
      reader?.read(Buffer.from(chunk));
    expect(kinds).toEqual(['1 bytes', '2 text', '3 bytes', '4\n5 text']);
  });

  test('an event of empty lines is bounded', async () => {
    expect(await sse('data:\n'.repeat(5), '\n')).toEqual([['message', '\n\n\n\n']]);
    expect(await sse('data:\n'.repeat(MAX_BYTES), '\n')).toEqual([['message', undefined]]);
  });

  test('a JSON object outside of any field is an event, at the end without an empty line too', async () => {
    const object = '{\n "error": {\n  "code": 503\n }\n}';
    const expected = [
      ['message', '1'],
      ['message', object],
    ];
    for (const tail of ['', '\n', '\n\n']) {
      const bytes = Buffer.from(`data: 1\n\n${object}${tail}`);
      for (let at = 0; at <= bytes.length; at++)
        expect(await sse(bytes.subarray(0, at), bytes.subarray(at))).toEqual(expected);
    }
    expect(await sse('{"a":1}\ndata: 1\n\ndata: 2\n{"a":1}\n\n')).toEqual([
      ['message', '1'],
      ['message', '2'],
    ]);
    expect(await sse(`{${'x'.repeat(MAX_BYTES)}\n\n`)).toEqual([['message', undefined]]);
  });

  test('lines end with CR, LF or CRLF, and a BOM at the beginning is no data', async () => {
    const text = 'event: a\ndata: 1\n\n: hello\n\nevent: b\ndata: ä\ndata: 2\n\n';
    const expected = [
      ['a', '1'],
      ['b', 'ä\n2'],
    ];
    for (const end of ['\n', '\r', '\r\n']) {
      const bytes = Buffer.from(`\uFEFF${text.replaceAll('\n', end)}`);
      expect(await sse(bytes)).toEqual(expected);
      for (let at = 0; at <= bytes.length; at++)
        expect(await sse(bytes.subarray(0, at), bytes.subarray(at))).toEqual(expected);
      expect(await sse(...[...bytes].map((byte) => Buffer.from([byte])))).toEqual(expected);
    }
  });

  test('comments, other fields, and an event without data are no events', async () => {
    expect(await sse(': ping\n\nid: 1\nretry: 5\n\nevent: a\n\ndatax: 1\n\ndata\n\ndata:\n\n')).toEqual([
      ['message', ''],
      ['message', ''],
    ]);
  });

  test('an event without its empty line is dropped', async () => {
    expect(await sse('data: 1\n\ndata: 2\n')).toEqual([['message', '1']]);
  });

  test('of an event beyond the bound, only the name is reported', async () => {
    const long = 'x'.repeat(MAX_BYTES);
    expect(await sse(`event: a\ndata: ${long}\n\ndata: 1\n\n`)).toEqual([
      ['a', undefined],
      ['message', '1'],
    ]);
    expect(await sse(`data: ${long.slice(9)}\ndata: 1234567890\nevent: b\n\n`)).toEqual([['b', undefined]]);
    expect(await sse(...`event: a\ndata: ${long}\n\ndata: 1\n\n`.split(''))).toHaveLength(2);
  });

  test('a long comment is no event, and a long name is no name', async () => {
    const long = 'x'.repeat(10 * MAX_BYTES);
    expect(await sse(`: ${long}\n\nevent: ${long}\ndata: 1\n\n`)).toEqual([['message', '1']]);
  });
});

describe('lines of JSON', () => {
  test('each line that is not blank is an event, the last one without its end too', async () => {
    const { events, ended } = await read('application/x-ndjson; charset=utf-8', [
      '{"a":1}\r\n\n  \n{"b"',
      ':2}\n3',
    ]);
    expect(events).toEqual([
      ['message', '{"a":1}\r'],
      ['message', '{"b":2}'],
      ['message', '3'],
    ]);
    expect(ended).toBe(true);
  });

  test('of a line beyond the bound, only the end is reported', async () => {
    expect((await read('Application/JSONL', [`${'1'.repeat(MAX_BYTES + 1)}\n1\n`])).events).toEqual([
      ['message', undefined],
      ['message', '1'],
    ]);
  });
});

describe('AWS event streams', () => {
  const codec = new EventStreamCodec(String, (text) => Buffer.from(text));
  const message = (type: string, name: string, body: string) =>
    Buffer.from(
      codec.encode({ headers: { [type]: { type: 'string', value: name } }, body: Buffer.from(body) }),
    );
  const aws = (...chunks: readonly Buffer[]) => read('application/vnd.amazon.eventstream', chunks);
  const bytes = Buffer.concat([
    message(':event-type', 'a', '1'),
    message(':exception-type', 'e', ''),
    message(':other', 'x', '3'),
  ]);
  const events = [
    ['a', '1'],
    ['e', ''],
    ['message', '3'],
  ];

  test('the name is the type of the event or the exception, wherever the bytes are cut', async () => {
    for (let at = 0; at <= bytes.length; at++) {
      const found = await aws(bytes.subarray(0, at), bytes.subarray(at));
      expect(found).toEqual({ events, ended: true, unreadable: false });
    }
    expect((await aws(...[...bytes].map((byte) => Buffer.from([byte])))).events).toEqual(events);
  });

  test('of a message beyond the bound, only the end is reported', async () => {
    const large = message(':event-type', 'a', 'x'.repeat(MAX_BYTES));
    expect((await aws(large, bytes)).events).toEqual([['message', undefined], ...events]);
  });

  test('bytes with a wrong checksum, and impossible lengths, are unreadable', async () => {
    const wrong = Buffer.from(bytes);
    wrong[20] = 0;
    for (const bad of [wrong, Buffer.from('data: 1\n\n'), Buffer.from([0, 0, 0, 15, 1])])
      expect(await aws(bad, bytes)).toMatchObject({ events: [], ended: false, unreadable: true });
  });
});

describe('compressed streams', () => {
  test('zstd with a window that is too large for a content coding is unreadable', async () => {
    // A frame of an unknown size with a window of 16 MiB, and one empty block (RFC 8878 §3.1.1).
    const frame = (window: number) => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, window, 1, 0, 0]);
    expect(await read('text/event-stream', [frame(13 << 3)], 'zstd')).toMatchObject({ ended: true });
    expect(await read('text/event-stream', [frame(14 << 3)], 'zstd')).toMatchObject({ unreadable: true });
  });

  const text = Buffer.from('event: a\ndata: 1\n\ndata: 2\n\n');
  const expected = [
    ['a', '1'],
    ['message', '2'],
  ];

  test.each([
    ['gzip', gzipSync(text)],
    ['x-gzip', gzipSync(text)],
    ['zstd', zstdCompressSync(text)],
  ])('%s is read from an unpacked copy', async (coding, packed) => {
    const whole = await read('text/event-stream', [packed], coding);
    expect(whole).toEqual({ events: expected, ended: true, unreadable: false });
    const bytes = [...packed].map((byte) => Buffer.from([byte]));
    expect((await read('text/event-stream', bytes, coding)).events).toEqual(expected);
  });

  test('a reader that was closed reads nothing', async () => {
    const seen: string[] = [];
    const note = (what: string) => () => void seen.push(what);
    const listener = {
      onEvent: note('event'),
      onAllRead: note('end'),
      onUnreadable: note('unreadable'),
      onReady: note('ready'),
    };
    for (const coding of ['identity', 'gzip']) {
      const headers = ['Content-Type', 'text/event-stream', 'Content-Encoding', coding];
      const reader = eventReader(headers, MAX_BYTES, listener);
      reader?.close();
      expect(reader?.read(coding === 'gzip' ? gzipSync(text) : text)).toBe(true);
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen).toEqual([]);
  });

  test('bytes that are not of their coding are unreadable', async () => {
    expect(await read('text/event-stream', [text], 'gzip')).toEqual({
      events: [],
      ended: false,
      unreadable: true,
    });
  });

  test('an early end is an end', async () => {
    const cut = gzipSync(text).subarray(0, -10);
    expect(await read('text/event-stream', [cut], 'gzip')).toMatchObject({ ended: true, unreadable: false });
    expect(await read('text/event-stream', [], 'gzip')).toMatchObject({ ended: true, unreadable: false });
  });
});

test('other bodies, and unknown codings, have no reader', () => {
  const listener = { onEvent: () => {}, onAllRead: () => {}, onUnreadable: () => {}, onReady: () => {} };
  const reader = (...headers: string[]) => eventReader(headers, MAX_BYTES, listener);
  expect(reader('Content-Type', 'text/event-stream')).toBeDefined();
  expect(reader('Content-Type', 'application/json')).toBeUndefined();
  expect(reader()).toBeUndefined();
  expect(reader('Content-Type', 'text/event-stream', 'Content-Encoding', 'x-own')).toBeUndefined();
  expect(reader('Content-Type', 'text/event-stream', 'Content-Encoding', 'gzip, br')).toBeUndefined();
});
