import { expect, test } from 'vitest';
import { rampRate } from '../../src/policies/quota/ramp.ts';

test('begins at half of the earlier rate, and reaches it after a second', () => {
  expect(rampRate(0, 80, 1)).toBe(40);
  expect(rampRate(1_000, 80, 40)).toBeCloseTo(80);
});

test('begins at the least rate together, if replicas share the cooldown', () => {
  expect(rampRate(0, 0, 0, 5)).toBe(2);
  expect(rampRate(0, 80, 1, 5)).toBe(40);
});

test('is at most 110 % of the rate that the upstream serves, however long calls wait', () => {
  for (const sinceMs of [2_000, 10_000, 60_000])
    expect(rampRate(sinceMs, 80, 90)).toBeLessThanOrEqual(99.001);
});

test('keeps growing while the upstream keeps up, also from zero', () => {
  expect(rampRate(0, 0, 0)).toBe(10);
  let serving = 20;
  for (let second = 2; second < 60; second++) serving = rampRate(second * 1_000, 0, serving);
  expect(serving).toBeGreaterThan(500);
});
