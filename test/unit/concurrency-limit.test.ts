import { expect, test } from 'vitest';
import { ConcurrencyLimit, type Evidence } from '../../src/policies/concurrency/limit.ts';
import { Median } from '../../src/policies/concurrency/median.ts';
import type { ConcurrencyOptions } from '../../src/policies/concurrency/options.ts';
import { seededRandom } from '../support/seeded-random.ts';

const OPTIONS: ConcurrencyOptions = {
  mode: 'adaptive',
  initial: 20,
  min: 1,
  max: 200,
  queue: 100,
  waitMs: 100,
  latencyCeilingMs: undefined,
};

const limitWith = (changes: Partial<ConcurrencyOptions> = {}) =>
  new ConcurrencyLimit({ ...OPTIONS, ...changes });

/** Takes permits until it may not; answers how many it got. */
function fill(limit: ConcurrencyLimit, most = 1_000): number {
  let taken = 0;
  while (taken < most && limit.tryAcquire()) taken++;
  return taken;
}

/** `times` attempts one after the other beside `others` that stay. */
function rounds(limit: ConcurrencyLimit, times: number, evidence: Evidence): void {
  for (let i = 0; i < times; i++) {
    expect(limit.tryAcquire()).toBe(true);
    limit.release(evidence, 10, i * 1_000);
  }
}

test('gives as many permits as the limit, and one for each that comes back', () => {
  const limit = limitWith();
  expect(fill(limit)).toBe(20);
  expect(limit.inFlight).toBe(20);
  limit.release('ignored', 10, 0);
  expect(fill(limit)).toBe(1);
});

test('50 simultaneous timeouts lower it once', () => {
  const limit = limitWith({ initial: 50 });
  fill(limit);
  for (let i = 0; i < 50; i++) limit.release('overload', 10_000, 0);
  expect(limit.limit).toBe(45);
  expect(limit.inFlight).toBe(0);
});

test('it falls again after 100 ms, not before', () => {
  const limit = limitWith({ initial: 100 });
  fill(limit);
  limit.release('overload', 1_000, 0);
  limit.release('overload', 1_000, 99);
  expect(limit.limit).toBe(90);
  limit.release('overload', 1_000, 100);
  expect(limit.limit).toBe(81);
});

test('where replies take longer than 100 ms, it falls once per median latency', () => {
  const limit = limitWith({ initial: 100 });
  fill(limit);
  limit.release('failure', 800, 0);
  limit.release('overload', 1_000, 0);
  limit.release('overload', 1_000, 799);
  expect(limit.limit).toBe(90);
  limit.release('overload', 1_000, 800);
  expect(limit.limit).toBe(81);
});

test('fast failures and ignored results neither lower nor raise it', () => {
  const limit = limitWith();
  for (let i = 0; i < 100; i++) {
    fill(limit);
    for (let n = 0; n < 20; n++) limit.release(n % 2 === 0 ? 'failure' : 'ignored', 1, i * 1_000);
  }
  expect(limit.limit).toBe(20);
});

test('grows by one per limit of successes, while at least half of it is in use', () => {
  const limit = limitWith({ initial: 10 });
  fill(limit, 5);
  for (let i = 0; i < 12; i++) {
    limit.release('success', 10, 0);
    limit.tryAcquire();
  }
  expect(limit.limit).toBe(10);
  fill(limit, 1);
  for (let i = 0; i < 12; i++) {
    limit.release('success', 10, 0);
    limit.tryAcquire();
  }
  expect(limit.limit).toBe(11);
});

test('an app that needs less than half of it does not make it grow', () => {
  const limit = limitWith({ initial: 10 });
  fill(limit, 3);
  rounds(limit, 1_000, 'success');
  expect(limit.limit).toBe(10);
});

test('grows from 1, though the last permit is the only one', () => {
  const limit = limitWith({ initial: 1 });
  rounds(limit, 1, 'success');
  expect(limit.limit).toBe(2);
});

test('stays within its bounds', () => {
  const limit = limitWith({ initial: 3, min: 2, max: 4 });
  for (let i = 0; i < 100; i++) {
    fill(limit);
    while (limit.inFlight > 0) limit.release('success', 10, i * 1_000);
  }
  expect(limit.limit).toBe(4);
  rounds(limit, 100, 'overload');
  expect(limit.limit).toBe(2);
  expect(limitWith({ initial: 500 }).limit).toBe(200);
  expect(limitWith({ initial: 0 }).limit).toBe(1);
});

test('latency above the ceiling is evidence, of a success and of a failure', () => {
  for (const evidence of ['success', 'failure'] as const) {
    const limit = limitWith({ latencyCeilingMs: 500 });
    fill(limit);
    limit.release(evidence, 500, 0);
    expect(limit.limit).toBe(20);
    limit.release(evidence, 501, 0);
    expect(limit.limit).toBe(18);
  }
});

test('a fall takes no permit back, and gives none until enough came home', () => {
  const limit = limitWith();
  fill(limit);
  limit.release('overload', 1_000, 0);
  expect([limit.limit, limit.inFlight]).toEqual([18, 19]);
  expect(limit.tryAcquire()).toBe(false);
  limit.release('ignored', 0, 0);
  expect(limit.tryAcquire()).toBe(false);
  limit.release('ignored', 0, 0);
  expect(limit.tryAcquire()).toBe(true);
});

test('fixed: never moves', () => {
  const limit = limitWith({ mode: 'fixed', initial: 300 });
  expect(fill(limit)).toBe(300);
  for (let i = 0; i < 150; i++) limit.release('overload', 1_000, i * 1_000);
  for (let i = 0; i < 150; i++) limit.release('success', 1_000, i * 1_000);
  expect([limit.limit, limit.inFlight]).toEqual([300, 0]);
});

test('off: never refuses, still counts', () => {
  const limit = limitWith({ mode: 'off' });
  expect(fill(limit, 1_000)).toBe(1_000);
  expect([limit.limit, limit.inFlight]).toEqual([Infinity, 1_000]);
});

test('the median follows a tenfold change of a skewed latency in about a hundred samples', () => {
  const median = new Median();
  const random = seededRandom(1);
  const sample = (typicalMs: number) => typicalMs * Math.exp(2 * (random() + random() + random() - 1.5));
  expect(median.value).toBe(0);
  for (let i = 0; i < 200; i++) median.add(sample(100));
  expect(median.value).toBeGreaterThan(60);
  expect(median.value).toBeLessThan(170);
  for (let i = 0; i < 100; i++) median.add(sample(1_000));
  expect(median.value).toBeGreaterThan(600);
  expect(median.value).toBeLessThan(1_700);
  for (let i = 0; i < 100; i++) median.add(sample(100));
  expect(median.value).toBeLessThan(170);
});

test('a first latency of 0 does not hold the median at 0', () => {
  const median = new Median();
  median.add(0);
  median.add(50);
  expect(median.value).toBe(50);
});

test('a wait without a sign of overload extends the limit by one, up to its maximum', () => {
  const limit = limitWith({ initial: 2, max: 3 });
  fill(limit);
  expect(limit.tryExtend(0)).toBe(true);
  expect([limit.limit, limit.inFlight]).toEqual([3, 3]);
  expect(limit.tryExtend(0)).toBe(false);
  expect(limit.limit).toBe(3);
});

test('a sign of overload during the wait, even one that lowers nothing, leaves it as it is', () => {
  const limit = limitWith({ initial: 10 });
  fill(limit);
  limit.release('overload', 1_000, 1_000);
  limit.release('overload', 1_000, 1_050);
  fill(limit);
  expect(limit.tryExtend(1_050)).toBe(false);
  expect(limit.tryExtend(1_051)).toBe(true);
  expect(limit.limit).toBe(10);
});

test('a limit that fell below what is under way is not extended past it', () => {
  const limit = limitWith({ initial: 100 });
  fill(limit);
  limit.release('overload', 1_000, 0);
  expect(limit.tryExtend(1)).toBe(false);
  expect(limit.limit).toBe(90);
});

test('a fixed one is never extended', () => {
  const limit = limitWith({ mode: 'fixed', initial: 1 });
  fill(limit);
  expect(limit.tryExtend(0)).toBe(false);
});
