import { expect, test } from 'vitest';
import { WaitQueue } from '../../src/policies/concurrency/queue.ts';

const LATER = 1_000;

function filled(capacity: number, ...entries: string[]): WaitQueue<string> {
  const queue = new WaitQueue<string>(capacity);
  for (const entry of entries) queue.push(entry, LATER);
  return queue;
}

function takeAll(queue: WaitQueue<string>, now = 0): string {
  let taken = '';
  for (let entry = queue.take(now); entry !== undefined; entry = queue.take(now)) taken += entry;
  return taken;
}

test('first in, first out while at most half full', () => {
  expect(takeAll(filled(8, 'a', 'b', 'c', 'd'))).toBe('abcd');
});

test('last in, first out while more than half full, then the oldest again', () => {
  expect(takeAll(filled(8, 'a', 'b', 'c', 'd', 'e', 'f'))).toBe('feabcd');
});

test('takes no more than its capacity', () => {
  const queue = filled(2, 'a', 'b');
  expect(queue.push('c', LATER)).toBeUndefined();
  expect(queue.size).toBe(2);
  queue.take(0);
  expect(queue.push('c', LATER)).toBeDefined();
  expect(new WaitQueue(0).push('a', LATER)).toBeUndefined();
});

test('an entry at its time limit is dropped, not taken', () => {
  const queue = new WaitQueue<string>(8);
  queue.push('late', 10);
  queue.push('in time', 11);
  expect(queue.take(10)).toBe('in time');
  expect(queue.size).toBe(0);
  queue.push('late', 10);
  expect(queue.take(10)).toBeUndefined();
  expect(queue.size).toBe(0);
});

test.each([
  ['oldest', 0, 'bc'],
  ['middle', 1, 'ac'],
  ['newest', 2, 'ab'],
])('the %s may leave', (_name, index, rest) => {
  const queue = new WaitQueue<string>(8);
  const places = ['a', 'b', 'c'].map((entry) => queue.push(entry, LATER)!);
  queue.remove(places[index]!);
  queue.remove(places[index]!);
  expect(queue.size).toBe(2);
  expect(takeAll(queue)).toBe(rest);
  queue.push('d', LATER);
  expect(takeAll(queue)).toBe('d');
});

test('leaving after having been taken changes nothing', () => {
  const queue = new WaitQueue<string>(8);
  const place = queue.push('a', LATER)!;
  queue.push('b', LATER);
  queue.take(0);
  queue.remove(place);
  expect(queue.size).toBe(1);
  expect(queue.take(0)).toBe('b');
});
