import { expect, test } from 'vitest';
import { AwakeTime } from '../../src/runtime/clock.ts';

function setUp() {
  let real = 0;
  const time = new AwakeTime(() => real);
  return { time, at: (ms: number) => ((real = ms), time.now()) };
}

test('time advances normally while it is read', () => {
  const { at, time } = setUp();
  expect([100, 600, 1_100, 2_600].map(at)).toEqual([100, 600, 1_100, 2_600]);
  expect(time.stalls).toBe(0);
});

test('a stall counts as one beat, each time', () => {
  const { at, time } = setUp();
  expect(at(400)).toBe(400);
  expect(at(60_400)).toBe(900);
  expect(at(60_500)).toBe(1_000);
  expect(at(3_660_500)).toBe(1_500);
  expect(time.stalls).toBe(2);
});
