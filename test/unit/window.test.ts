import { expect, test } from 'vitest';
import { FailureRun } from '../../src/policies/circuit-breaker/failure-run.ts';
import { OutcomeWindow } from '../../src/policies/circuit-breaker/window.ts';

const WINDOW_MS = 10_000;

function totalAt(window: OutcomeWindow, now: number) {
  window.roll(now);
  return window.total;
}

test('counts attempts, failures and slow ones apart', () => {
  const window = new OutcomeWindow(WINDOW_MS);
  window.record(0, true, false);
  window.record(1, false, true);
  window.record(2, true, true);
  window.record(3, false, false);
  expect(window.total).toEqual({ attempts: 4, failures: 2, slow: 2 });
});

test('20 failures at t=0 are there until just before t=10 s, and gone then', () => {
  const window = new OutcomeWindow(WINDOW_MS);
  for (let i = 0; i < 20; i++) window.record(0, true, false);
  expect(totalAt(window, 9_999)).toEqual({ attempts: 20, failures: 20, slow: 0 });
  expect(totalAt(window, 10_000)).toEqual({ attempts: 0, failures: 0, slow: 0 });
});

test('buckets end on multiples of their width, whenever the first attempt came', () => {
  const window = new OutcomeWindow(WINDOW_MS);
  window.record(5_999, true, false);
  window.record(6_000, false, false);
  expect(totalAt(window, 14_999).attempts).toBe(2);
  expect(totalAt(window, 15_000)).toEqual({ attempts: 1, failures: 0, slow: 0 });
  expect(totalAt(window, 16_000).attempts).toBe(0);
});

test('several buckets passing at once drop only what is too old', () => {
  const window = new OutcomeWindow(WINDOW_MS);
  for (let second = 0; second < 10; second++) window.record(second * 1_000, second < 5, false);
  expect(totalAt(window, 12_500)).toEqual({ attempts: 7, failures: 2, slow: 0 });
});

test('a year without traffic is rolled over in one step, and the window works on', () => {
  const window = new OutcomeWindow(WINDOW_MS);
  window.record(0, true, true);
  const year = 365 * 24 * 3_600_000;
  expect(totalAt(window, year).attempts).toBe(0);
  window.record(year, true, false);
  expect(totalAt(window, year + 9_999).failures).toBe(1);
  expect(totalAt(window, year + 10_000).failures).toBe(0);
});

test('a clock that seems to go back (two callers reading it) changes nothing', () => {
  const window = new OutcomeWindow(WINDOW_MS);
  window.record(5_000, true, false);
  window.record(4_000, true, false);
  expect(totalAt(window, 14_999).failures).toBe(2);
});

test('clear forgets everything', () => {
  const window = new OutcomeWindow(WINDOW_MS);
  window.record(1_000, true, true);
  window.clear();
  window.record(1_000, false, false);
  expect(totalAt(window, 10_999)).toEqual({ attempts: 1, failures: 0, slow: 0 });
  expect(totalAt(window, 11_000)).toEqual({ attempts: 0, failures: 0, slow: 0 });
});

test('a run counts from the moment it spans a second', () => {
  const run = new FailureRun();
  run.add(0, false);
  run.add(999, false);
  expect(run.failures).toBe(0);
  run.add(1_000, false);
  expect(run.failures).toBe(3);
});

test('a run outlives gaps of five minutes, not longer ones', () => {
  const run = new FailureRun();
  run.add(0, true);
  run.add(300_000, true);
  expect([run.failures, run.connectFailures]).toEqual([2, 2]);
  run.add(600_001, true);
  expect([run.failures, run.connectFailures]).toEqual([0, 1]);
});

test('a failure after the connection was made ends the run of connect failures only', () => {
  const run = new FailureRun();
  run.add(0, true);
  run.add(500, true);
  run.add(1_000, false);
  expect([run.failures, run.connectFailures]).toEqual([3, 0]);
});

test('a revoked success becomes a failure, and without one a failure is added', () => {
  const window = new OutcomeWindow(WINDOW_MS);
  window.record(0, false, false);
  window.record(0, false, false);
  window.revoke(10);
  expect(window.total).toEqual({ attempts: 2, failures: 1, slow: 0 });
  window.revoke(20);
  window.revoke(30);
  expect(window.total).toEqual({ attempts: 3, failures: 3, slow: 0 });
  // The time of the success may be long over.
  window.revoke(15_000);
  expect(window.total).toEqual({ attempts: 1, failures: 1, slow: 0 });
});
