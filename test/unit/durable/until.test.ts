import { describe, expect, test } from 'vitest';
import {
  type Condition,
  type Conditions,
  evaluate,
  type PolledReply,
} from '../../../src/durable/until/condition.ts';
import { askedPollDelayMs, pollDelayMs } from '../../../src/durable/until/delay.ts';
import { Expression } from '../../../src/http/expression.ts';
import { parsePointer, valuesAt } from '../../../src/http/json-pointer.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const at = (text: string) => {
  const pointer = parsePointer(text);
  if (pointer === undefined) throw new Error(`${text} is no pointer`);
  return pointer;
};

describe('a JSON pointer (RFC 6901)', () => {
  const document = { foo: ['bar', 'baz'], '': 0, 'a/b': 1, 'm~n': 8, items: [{ s: 1 }, { s: 2 }, {}] };

  test.each([
    ['', [document]],
    ['/foo', [['bar', 'baz']]],
    ['/foo/0', ['bar']],
    ['/', [0]],
    ['/a~1b', [1]],
    ['/m~0n', [8]],
    ['/items/*/s', [1, 2]],
    ['/foo/00', []],
    ['/foo/2', []],
    ['/foo/length', []],
    ['/constructor', []],
    ['/foo/0/x', []],
  ])('%j', (text, found) => expect(valuesAt(document, at(text))).toEqual(found));

  test.each(['foo', '/a~2', '/a~', '/*/x/*'])('%j is refused', (text) =>
    expect(parsePointer(text)).toBeUndefined(),
  );
});

const reply = (json: unknown, status = 200, headers: readonly string[] = []): PolledReply => ({
  status,
  headers,
  json,
});
const json = (pointer: string, test: object, items: 'any' | 'all' = 'any'): Condition => ({
  subject: { kind: 'json', pointer: at(pointer), test, items },
});
const success = (...list: Condition[]): Conditions => ({ success: list, failure: [] });

describe('a condition', () => {
  test.each([
    ['equals', json('/s', { equals: 'paid' }), { s: 'paid' }, true],
    ['equals, another value', json('/s', { equals: 'paid' }), { s: 'open' }, false],
    ['equals a number said as text', json('/n', { equals: 7 }), { n: '7' }, true],
    ['equals null', json('/n', { equals: null }), { n: null }, true],
    ['"null" is not null', json('/n', { equals: null }), { n: 'null' }, false],
    ['in', json('/s', { in: ['a', 'b'] }), { s: 'b' }, true],
    ['in, another value', json('/s', { in: ['a', 'b'] }), { s: 'c' }, false],
    ['matches', json('/s', { matches: new Expression('^pa') }), { s: 'paid' }, true],
    ['matches, not', json('/s', { matches: new Expression('^ai') }), { s: 'paid' }, false],
    ['gte and lte', json('/n', { gte: 1, lte: 3 }), { n: 3 }, true],
    ['gte and lte, beyond', json('/n', { gte: 1, lte: 3 }), { n: 3.1 }, false],
    ['gte of what is no number', json('/n', { gte: 1 }), { n: 'x' }, false],
    ['gte of an empty text', json('/n', { gte: 0 }), { n: '' }, false],
    ['exists', json('/n', { exists: true }), { n: null }, true],
    ['exists, not there', json('/n', { exists: true }), {}, false],
    ['exists: false', json('/n', { exists: false }), {}, true],
    ['exists: false, there', json('/n', { exists: false }), { n: 0 }, false],
    ['what is not there equals nothing', json('/n', { in: ['undefined', null] }), {}, false],
    ['any item', json('/i/*/s', { equals: 1 }), { i: [{ s: 0 }, { s: 1 }] }, true],
    ['all items', json('/i/*/s', { equals: 1 }, 'all'), { i: [{ s: 0 }, { s: 1 }] }, false],
    ['all of none', json('/i/*/s', { equals: 1 }, 'all'), { i: [] }, false],
    ['no JSON', json('/s', { equals: 1 }), undefined, false],
  ])('%s', (_, condition, body, holds) =>
    expect(evaluate(success(condition), reply(body)).kind).toBe(holds ? 'success' : 'pending'),
  );

  test('keys combine with AND, list entries with OR', () => {
    const both: Condition = { ...json('/s', { equals: 'paid' }), statuses: new Set([200]) };
    expect(evaluate(success(both), reply({ s: 'paid' }, 201)).kind).toBe('pending');
    expect(evaluate(success(both), reply({ s: 'paid' }, 200)).kind).toBe('success');
    expect(evaluate(success(both, { statuses: new Set([201]) }), reply({}, 201)).kind).toBe('success');
  });

  test('reads headers in any letter case', () => {
    const condition: Condition = { subject: { kind: 'header', name: 'x-state', test: { equals: 'done' } } };
    expect(evaluate(success(condition), reply(undefined, 200, ['X-State', 'done'])).kind).toBe('success');
    expect(evaluate(success(condition), reply(undefined, 200, [])).kind).toBe('pending');
  });

  test('an empty condition never holds', () => expect(evaluate(success({}), reply({})).kind).toBe('pending'));

  test('failure is checked first and has a message', () => {
    const conditions: Conditions = {
      success: [{ statuses: new Set([200]) }],
      failure: [{ ...json('/s', { equals: 'declined' }), message: at('/why') }],
    };
    expect(evaluate(conditions, reply({ s: 'declined', why: 'no funds' }))).toEqual({
      kind: 'failure',
      message: 'no funds',
    });
    expect(evaluate(conditions, reply({ s: 'declined' }))).toEqual({ kind: 'failure', message: undefined });
    expect(evaluate(conditions, reply({ s: 'fine' })).kind).toBe('success');
  });
});

describe('the wait before the next poll', () => {
  const delay = { minMs: 2_000, maxMs: 120_000 };
  const long = 1e9;

  test('lies between the minimum and a ceiling that doubles up to the maximum', () => {
    const least = (poll: number) => pollDelayMs(poll, delay, long, () => 0);
    const most = (poll: number) => pollDelayMs(poll, delay, long, () => 1);
    expect([1, 2, 3, 6, 7, 8, 5_000].map(most)).toEqual([2e3, 4e3, 8e3, 64e3, 120e3, 120e3, 120e3]);
    expect([1, 2, 7, 5_000].map(least)).toEqual([2e3, 2e3, 2e3, 2e3]);
  });

  test('the last poll is made exactly at the deadline, and none beyond it', () => {
    const random = seededRandom(1);
    for (let remaining = 0; remaining < 200_000; remaining += 997) {
      const wait = pollDelayMs(9, delay, remaining, random);
      expect(wait).toBeLessThanOrEqual(remaining);
      const left = remaining - wait;
      expect(left === 0 || left > delay.minMs).toBe(true);
    }
  });

  test('a Retry-After of the upstream applies up to the maximum', () => {
    expect(askedPollDelayMs(30_000, delay, long)).toBe(30_000);
    expect(askedPollDelayMs(3_600_000, delay, long)).toBe(120_000);
    expect(askedPollDelayMs(30_000, delay, 5_000)).toBe(5_000);
  });
});
