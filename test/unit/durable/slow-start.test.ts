import { expect, test } from 'vitest';
import { type AttemptFeedback, SlowStart, type SlowStartLimits } from '../../../src/durable/slow-start.ts';

const UNLIMITED: SlowStartLimits = { concurrency: undefined, room: Infinity };

/** Begins all attempts that may begin, and ends each with `feedback`. */
function round(slowStart: SlowStart, feedback: AttemptFeedback, limits = UNLIMITED): number {
  const begun = slowStart.free(limits);
  for (let i = 0; i < begun; i++) slowStart.take();
  for (let i = 0; i < begun; i++) slowStart.release(feedback);
  return begun;
}

test('each round of successes doubles the concurrent attempts', () => {
  const slowStart = new SlowStart();
  expect([1, 2, 3, 4].map(() => round(slowStart, 'success'))).toEqual([32, 64, 128, 256]);
});

test('failures do not shrink the window; a refusal by this proxy resets it', () => {
  const slowStart = new SlowStart();
  round(slowStart, 'success');
  expect([1, 2].map(() => round(slowStart, 'none'))).toEqual([64, 64]);
  slowStart.take();
  slowStart.release('refused');
  expect(slowStart.free(UNLIMITED)).toBe(32);
});

test('a configured number is the exact limit', () => {
  const slowStart = new SlowStart();
  const limits = { concurrency: 5, room: Infinity };
  expect([1, 2].map(() => round(slowStart, 'success', limits))).toEqual([5, 5]);
  slowStart.take();
  expect(slowStart.free(limits)).toBe(4);
  expect(slowStart.free({ ...limits, concurrency: 1 })).toBe(0);
});

test('with a concurrency limit it uses half of the free permits, and at least one if none runs', () => {
  const slowStart = new SlowStart();
  expect(slowStart.free({ ...UNLIMITED, room: 20 })).toBe(10);
  expect(slowStart.free({ ...UNLIMITED, room: 1 })).toBe(1);
  expect(slowStart.free({ ...UNLIMITED, room: -3 })).toBe(1);
  slowStart.take();
  expect(slowStart.free({ ...UNLIMITED, room: 3 })).toBe(1);
  expect(slowStart.free({ ...UNLIMITED, room: 1 })).toBe(0);
  expect(slowStart.free({ ...UNLIMITED, room: -3 })).toBe(0);
});

test('while results cannot be stored, their number stays within the window, which then grows', () => {
  const slowStart = new SlowStart();
  let unsettled = 0;
  for (let i = 0; i < 20; i++) {
    for (let free = slowStart.free(UNLIMITED); free > 0; free--) slowStart.take();
    while (slowStart.giveUp()) unsettled++;
  }
  expect(unsettled).toBe(32);
  for (; unsettled > 0; unsettled--) slowStart.settled('success');
  // 32 attempts still run, of the 64 that fit now.
  expect(slowStart.free(UNLIMITED)).toBe(32);
});
