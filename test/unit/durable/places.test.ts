import { expect, test } from 'vitest';
import { type PlaceLimits, Places, type Sign } from '../../../src/durable/places.ts';

const UNLIMITED: PlaceLimits = { concurrency: undefined, room: Infinity };

/** All that are free begin, and each ends so. */
function round(places: Places, sign: Sign, limits = UNLIMITED): number {
  const begun = places.free(limits);
  for (let i = 0; i < begun; i++) places.take();
  for (let i = 0; i < begun; i++) places.release(sign);
  return begun;
}

test('each round of good answers doubles the attempts at once', () => {
  const places = new Places();
  expect([1, 2, 3, 4].map(() => round(places, 'well'))).toEqual([32, 64, 128, 256]);
});

test('what fails at random does not slow it down; a refusal of our own starts again', () => {
  const places = new Places();
  round(places, 'well');
  expect([1, 2].map(() => round(places, 'none'))).toEqual([64, 64]);
  places.take();
  places.release('refused');
  expect(places.free(UNLIMITED)).toBe(32);
});

test("an operator's number is a limit, neither more nor less", () => {
  const places = new Places();
  const limits = { concurrency: 5, room: Infinity };
  expect([1, 2].map(() => round(places, 'well', limits))).toEqual([5, 5]);
  places.take();
  expect(places.free(limits)).toBe(4);
  expect(places.free({ ...limits, concurrency: 1 })).toBe(0);
});

test('where a limit exists, it takes half of what is free, and one at least when none runs', () => {
  const places = new Places();
  expect(places.free({ ...UNLIMITED, room: 20 })).toBe(10);
  expect(places.free({ ...UNLIMITED, room: 1 })).toBe(1);
  expect(places.free({ ...UNLIMITED, room: -3 })).toBe(1);
  places.take();
  expect(places.free({ ...UNLIMITED, room: 3 })).toBe(1);
  expect(places.free({ ...UNLIMITED, room: 1 })).toBe(0);
  expect(places.free({ ...UNLIMITED, room: -3 })).toBe(0);
});
