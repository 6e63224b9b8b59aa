import { describe, expect, test } from 'vitest';
import {
  eventFormatOf,
  type EventFormat,
  eventParser,
  type StreamEvent,
} from '../../src/http/event-stream/event-parser.ts';
import { seededRandom } from '../support/seeded-random.ts';

const MAX_BYTES = 64;

function parse(format: EventFormat, ...chunks: readonly (string | Buffer)[]): readonly StreamEvent[] {
  const events: StreamEvent[] = [];
  const parser = eventParser(format, MAX_BYTES, (event) => events.push(event));
  for (const chunk of chunks) parser.write(Buffer.from(chunk));
  parser.end();
  return events;
}

const bytesOf = (text: string) => Array.from(Buffer.from(text), (byte) => Buffer.from([byte]));

const message = (data: string | undefined) => ({ name: 'message', data });

describe('server-sent events', () => {
  test.each([
    ['data: a\n\n', [message('a')]],
    ['data:a\n\ndata:  b\n\n', [message('a'), message(' b')]],
    ['event: ping\ndata: {}\n\ndata: x\n\n', [{ name: 'ping', data: '{}' }, message('x')]],
    ['data: a\ndata: b\ndata\n\n', [message('a\nb\n')]],
    ['data: a\r\rdata: b\r\n\r\n', [message('a'), message('b')]],
    [': comment\n\n:\n\ndata: a\n\n', [message('a')]],
    ['id: 1\nretry: 5\nother: x\ndata: a\n\n', [message('a')]],
    ['\uFEFFdata: a\n\n', [message('a')]],
    ['event: named\n\ndata: a\n\n', [message('a')]],
    ['data: a\n\ndata: incomplete\n', [message('a')]],
    ['data: [DONE]\n\n', [message('[DONE]')]],
    ['data: ü€😀\n\n', [message('ü€😀')]],
    ['', []],
    ['\n\n\r\n\r', []],
  ])('%j is %j, whole and one byte at a time', (text, expected) => {
    expect(parse('sse', text)).toEqual(expected);
    expect(parse('sse', ...bytesOf(text))).toEqual(expected);
  });

  test.each([
    ['one long line', `data: ${'x'.repeat(MAX_BYTES)}\n\n`],
    ['many lines', `data: ${'x'.repeat(20)}\n`.repeat(4) + '\n'],
    ['a line that is cut, and one that is not', `data: ${'x'.repeat(999)}\ndata: y\n\n`],
  ])('an event beyond the bound is an event without data: %s', (_, text) => {
    const expected = [message(undefined), message('after')];
    expect(parse('sse', `${text}data: after\n\n`)).toEqual(expected);
    expect(parse('sse', ...bytesOf(`${text}data: after\n\n`))).toEqual(expected);
  });

  test('a long comment is no event', () => {
    expect(parse('sse', `: ${'x'.repeat(999)}\n\ndata: a\n\n`)).toEqual([message('a')]);
  });
});

describe('one JSON value per line', () => {
  test('each line is an event, the last one without a break too', () => {
    expect(parse('ndjson', '{"a":1}\n\n{"b":', '2}\r', '\n{"c":3}')).toEqual(
      ['{"a":1}', '{"b":2}', '{"c":3}'].map(message),
    );
  });

  test('a line beyond the bound has no data', () => {
    expect(parse('ndjson', 'x'.repeat(999), '\n1\n')).toEqual([message(undefined), message('1')]);
    expect(parse('ndjson', 'x'.repeat(999))).toEqual([message(undefined)]);
  });
});

test('random bytes give the same events, however they are cut', () => {
  const random = seededRandom(1);
  const parts = [
    'data: a',
    'data:',
    'event: e',
    '\n',
    '\n\n',
    '\r',
    '\r\n',
    ':',
    '\uFEFF',
    'ü',
    'x'.repeat(70),
  ];
  for (let round = 0; round < 500; round++) {
    const text = Array.from({ length: 30 }, () => parts[Math.floor(random() * parts.length)]).join('');
    const bytes = Buffer.from(text);
    const chunks: Buffer[] = [];
    for (let from = 0; from < bytes.length; ) {
      const end = from + Math.floor(random() * 9);
      chunks.push(bytes.subarray(from, end));
      from = end;
    }
    for (const format of ['sse', 'ndjson'] as const)
      expect(parse(format, ...chunks)).toEqual(parse(format, bytes));
  }
});

test.each([
  ['text/event-stream; charset=utf-8', 'sse'],
  ['Text/Event-Stream', 'sse'],
  ['application/x-ndjson', 'ndjson'],
  ['application/jsonl', 'ndjson'],
  ['application/json', undefined],
  [undefined, undefined],
])('a reply of type %s has the format %s', (type, format) => {
  expect(eventFormatOf(type === undefined ? [] : ['Content-Type', type])).toBe(format);
});
