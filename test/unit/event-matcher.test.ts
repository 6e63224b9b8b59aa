import { expect, test } from 'vitest';
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
  const meaning = matcher.meaningOf({ name, data }, [], 0);
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
  const found = matcher.meaningOf({ name: 'message', data: '{"error":{"wait":3}}' }, [], 0);
  expect(found).toEqual({
    status: 502,
    classification: { name: 'any', kind: undefined, throttled: false, retryAfterMs: 3_000 },
  });
});
