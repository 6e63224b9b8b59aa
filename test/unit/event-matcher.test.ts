import { describe, expect, test } from 'vitest';
import { LineEvent } from '../../src/http/event-stream/event.ts';
import { EventMatcher } from '../../src/policies/stream/event-matcher.ts';
import type { EventCondition, StreamErrorRule } from '../../src/policies/stream/options.ts';

const condition = (changes: Partial<EventCondition>): EventCondition => ({
  events: [],
  data: [],
  body: [],
  text: [],
  ...changes,
});

const rule = (changes: Partial<StreamErrorRule>): StreamErrorRule => ({
  ...condition(changes),
  name: undefined,
  status: 502,
  means: undefined,
  throttled: false,
  wait: undefined,
  ...changes,
});

const wall = { wallTime: () => 0 };

const matcher = new EventMatcher({
  errors: [
    rule({ name: 'typed', events: ['error'], body: [[['error', 'type'], ['over*']]], status: 529 }),
    rule({ name: 'any', body: [[['error'], ['*']]], wait: { from: 'body', pointer: ['error', 'wait'] } }),
    rule({ name: 'boom', text: ['BOOM'] }),
    rule({ name: 'odd', body: [[['a b/c'], ['1']]] }),
    rule({ name: 'member', body: [[['*', 'code'], ['7']]] }),
  ],
  done: [condition({ data: ['[DONE]'] }), condition({ events: ['stop*'] })],
  ignore: [condition({ events: ['ping'] }), condition({ body: [[['type'], ['note']]] })],
});

const meaningOf = (data: string | undefined, name = 'message') => {
  const meaning = matcher.meaningOf({ name, data }, [], wall);
  return typeof meaning === 'object' ? meaning.classification.name : meaning;
};

test.each([
  ['{"error":{"type":"overloaded_error"}}', 'error', 'typed'],
  ['{"error":{"type":"overloaded_error"}}', 'message', 'any'],
  ['{"error":"it failed"}', 'error', 'any'],
  ['{"error":null}', 'error', 'meaningful'],
  ['{"text":"\\"error\\""}', 'message', 'meaningful'],
  ['"error"', 'message', 'meaningful'],
  ['not JSON "error"', 'message', 'meaningful'],
  ['boom', 'message', 'boom'],
  ['{"a b/c":1}', 'message', 'odd'],
  ['{"x":{"code":7}}', 'message', 'member'],
  ['[DONE]', 'message', 'done'],
  ['[done]', 'message', 'done'],
  ['[DONE] ', 'message', 'meaningful'],
  ['x[DONE]x', 'message', 'meaningful'],
  ['1', 'stop_here', 'done'],
  ['1', 'ping', 'ignored'],
  ['{"type":"note"}', 'message', 'ignored'],
  ['', 'message', 'ignored'],
  ['', 'error', 'ignored'],
  [undefined, 'message', 'meaningful'],
  [undefined, 'ping', 'ignored'],
  [undefined, 'error', 'meaningful'],
])('data %j of %s means %s', (data, name, meaning) => expect(meaningOf(data, name)).toBe(meaning));

test('an error has the status, the meaning and the wait of its rule', () => {
  const found = matcher.meaningOf({ name: 'message', data: '{"error":{"wait":3}}' }, [], wall);
  expect(found).toEqual({
    status: 502,
    classification: { name: 'any', kind: undefined, throttled: false, retryAfterMs: 3_000 },
  });
});

describe('an event of which no text has been made', () => {
  const plain = new EventMatcher({
    errors: [
      rule({ name: 'typed', events: ['error'], body: [[['error', 'type'], ['over*']]] }),
      rule({ name: 'any', body: [[['error'], ['*']]] }),
    ],
    done: [condition({ data: ['[DONE]', '[KELVIN]'] }), condition({ events: ['stop*'] })],
    ignore: [
      condition({ events: ['ping'] }),
      condition({ body: [[['type'], ['note']]] }),
      condition({ data: ['x', 'skip'], body: [[['never'], ['1']]] }),
    ],
  });

  /** The meaning of an event in the middle of a chunk, and the number of texts that were made of it. */
  const lineMeaning = (bytes: Buffer, name = 'message', rules = plain) => {
    let texts = 0;
    const chunk = Buffer.concat([Buffer.from('"error"'), bytes, Buffer.from('"error"')]);
    const line = new LineEvent(name, chunk, 7, 7 + bytes.length);
    const { data } = line;
    Object.defineProperty(line, 'data', { get: () => (texts++, data) });
    const meaning = rules.meaningOf(line, [], wall);
    return { meaning: typeof meaning === 'object' ? meaning.classification.name : meaning, texts };
  };

  test.each([
    ['{"text":"an answer of some length"}', 'message', 'meaningful', 0],
    ['{"text":"an answer of some length"}', 'delta', 'meaningful', 0],
    ['{"text":"an error of some length"}', 'message', 'meaningful', 0],
    ['{"text":"\\"error\\" of some length"}', 'message', 'meaningful', 0],
    ['{"text":{"error":"of some length"}}', 'message', 'meaningful', 1],
    ['{"text":"a half of the par', 'message', 'meaningful', 0],
    ['{"error":"it failed"}', 'message', 'any', 1],
    ['{"error":{"type":"overloaded"}}', 'error', 'typed', 1],
    ['{"type":"note"}', 'message', 'ignored', 1],
    ['{"a":"some more of it","type":"note"}', 'message', 'ignored', 1],
    ['[DONE]', 'message', 'done', 1],
    ['{"text":"some text"}', 'stop_here', 'done', 1],
    ['{"text":"some text"}', 'ping', 'ignored', 1],
    ['[\u212aELVIN]', 'message', 'done', 1],
    ['', 'message', 'ignored', 1],
  ])('data %j of %s means %s', (data, name, meaning, texts) => {
    expect(lineMeaning(Buffer.from(data), name)).toEqual({ meaning, texts });
  });

  test('a rule with a text, a pattern or an unusual key needs the text of every event', () => {
    const meanings = [
      rule({ text: ['BOOM'] }),
      rule({ data: ['*boom*'] }),
      rule({ body: [[['a b'], ['boom']]] }),
    ].map((error) => {
      const rules = new EventMatcher({ errors: [{ ...error, name: 'boom' }], done: [], ignore: [] });
      return lineMeaning(Buffer.from('{"a b":"boom","x":"of some length"}'), 'message', rules);
    });
    expect(meanings).toEqual(Array.from({ length: 3 }, () => ({ meaning: 'boom', texts: 1 })));
  });

  test('without rules, only an event without data is ignored', () => {
    const rules = new EventMatcher({ errors: [], done: [], ignore: [] });
    expect(lineMeaning(Buffer.from('1'), 'message', rules)).toEqual({ meaning: 'meaningful', texts: 0 });
    expect(lineMeaning(Buffer.from(''), 'message', rules)).toEqual({ meaning: 'ignored', texts: 1 });
  });
});
