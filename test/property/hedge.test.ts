import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HedgeShare } from '../../src/policies/hedge/hedge-share.ts';
import { Latency } from '../../src/policies/hedge/latency.ts';

const step = fc.constantFrom('attempt', 'attempt', 'attempt', 'take', 'unused');
const share = fc.integer({ min: 1, max: 1_000 }).map((permille) => permille / 1_000);

test('hedges are never more than their share of the attempts so far', () => {
  const holds = (ratio: number, steps: readonly string[]): boolean => {
    const share = new HedgeShare(ratio);
    const permille = Math.round(ratio * 1_000);
    let spare = 0;
    for (const one of steps) {
      // In thousandths of a hedge: what the share has brought less what was sent.
      if (one === 'attempt') {
        share.attempted();
        spare += permille;
      } else if (one === 'take' && share.take()) {
        spare -= 1_000;
      } else if (one === 'unused' && share.take()) {
        share.refund();
      }
      if (spare < 0) return false;
    }
    return true;
  };
  const broken = fc.check(fc.property(share, fc.array(step, { size: 'max', maxLength: 3_000 }), holds), {
    numRuns: 300,
  });
  expect(broken.counterexample).toBeNull();
});

test('shares are exact: fifty attempts at 2 % buy one hedge, and a thousand 10 at once at most', () => {
  const share = new HedgeShare(0.02);
  for (let i = 0; i < 49; i++) share.attempted();
  expect(share.take()).toBe(false);
  share.attempted();
  expect([share.take(), share.take()]).toEqual([true, false]);
  for (let i = 0; i < 1_000_000; i++) share.attempted();
  let taken = 0;
  while (share.take()) taken++;
  expect(taken).toBe(10);
});

test('a percentile is that of the samples, but for the width of a bucket', () => {
  const samples = fc.array(fc.double({ min: 1, max: 600_000, noNaN: true }), {
    minLength: 100,
    maxLength: 500,
  });
  const off = fc.check(
    fc.property(samples, fc.constantFrom(0.5, 0.9, 0.95, 0.99), (values, percentile) => {
      const latency = new Latency(percentile);
      for (const ms of values) latency.record(ms, 0);
      const exact = [...values].sort((a, b) => a - b)[Math.ceil(percentile * values.length) - 1]!;
      const read = latency.percentileMs(0)!;
      return read >= exact * 0.999 && read <= exact * 1.051;
    }),
  );
  expect(off.counterexample).toBeNull();
});

test('fewer than a hundred samples give no percentile; a percentile holds for 3 s, and is forgotten after two minutes', () => {
  const latency = new Latency(0.95);
  for (let i = 0; i < 99; i++) latency.record(100, 0);
  expect(latency.percentileMs(0)).toBeUndefined();
  latency.record(100, 0);
  expect(latency.percentileMs(0)).toBeCloseTo(100, -1);
  for (let i = 0; i < 10_000; i++) latency.record(1_000, 1);
  expect(latency.percentileMs(2_999)).toBeCloseTo(100, -1);
  expect(latency.percentileMs(3_001)).toBeGreaterThan(990);
  expect(latency.percentileMs(61_000)).toBeGreaterThan(990);
  expect(latency.percentileMs(121_000)).toBeUndefined();
  latency.record(0, 1e15);
  latency.record(Number.MAX_VALUE, 1e15);
  expect(latency.percentileMs(1e15)).toBeUndefined();
});
