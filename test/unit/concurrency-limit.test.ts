import { expect, test } from 'vitest';
import { ConcurrencyLimit } from '../../src/policies/concurrency/limit.ts';
import { Median } from '../../src/policies/concurrency/median.ts';
import type { ConcurrencyOptions } from '../../src/policies/concurrency/options.ts';
import { seededRandom } from '../support/seeded-random.ts';

const OPTIONS: ConcurrencyOptions = {
  mode: 'adaptive',
  min: 1,
  max: 20,
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

/** Signs of overload at `now`: so many that they are no exception. */
function overload(limit: ConcurrencyLimit, now: number, times = 4): void {
  for (let i = 0; i < times; i++) limit.release('overload', 1_000, now);
}

/** One that has fallen to `to`, with as many permits out. */
function fallen(to: number, changes: Partial<ConcurrencyOptions> = {}): ConcurrencyLimit {
  const limit = limitWith({ max: Infinity, ...changes });
  fill(limit, Math.ceil(to / 0.9) + 3);
  overload(limit, 0);
  expect(limit.limit).toBe(to);
  while (limit.inFlight > to) limit.release('ignored', 0, 0);
  fill(limit);
  return limit;
}

test('without evidence of overload nothing is limited', () => {
  const limit = limitWith({ max: Infinity });
  expect(fill(limit, 5_000)).toBe(5_000);
  for (let i = 0; i < 2_500; i++) limit.release('success', 3_000, i);
  for (let i = 0; i < 2_500; i++) limit.release('failure', 10, i);
  expect([limit.limit, limit.inFlight]).toEqual([Infinity, 0]);
});

test('a number that is written is a limit at once; each permit that comes back is given again', () => {
  const limit = limitWith();
  expect(fill(limit)).toBe(20);
  expect(limit.inFlight).toBe(20);
  limit.release('ignored', 10, 0);
  expect(fill(limit)).toBe(1);
});

test('with a sign of overload it falls from the number in flight', () => {
  const limit = limitWith({ max: Infinity });
  fill(limit, 103);
  overload(limit, 0);
  expect([limit.limit, limit.inFlight]).toEqual([90, 99]);
  expect(limit.tryAcquire()).toBe(false);
});

test('attempts that have accumulated since the attempt left do not count', () => {
  const limit = limitWith({ max: Infinity });
  fill(limit, 500);
  for (let i = 0; i < 4; i++) limit.release('overload', 2_000, 0, 10);
  expect(limit.limit).toBe(9);
});

test('a few slow attempts among many are no evidence', () => {
  const limit = limitWith({ max: Infinity });
  fill(limit, 1_000);
  for (let i = 0; i < 200; i++) {
    limit.release(i % 10 === 0 ? 'overload' : 'success', 50, i * 1_000);
    limit.tryAcquire();
  }
  expect(limit.limit).toBe(Infinity);
});

test('a minute of success without a sign of overload lifts it, and silence does not', () => {
  const limit = fallen(9);
  limit.release('success', 10, 59_999);
  expect(limit.limit).toBe(9);
  limit.release('ignored', 10, 3_600_000);
  expect(limit.limit).toBe(9);
  limit.release('success', 10, 3_600_001);
  expect(limit.limit).toBe(Infinity);
});

test('after its removal it is the configured limit', () => {
  const limit = fallen(9, { max: 13 });
  limit.release('success', 10, 60_000);
  expect(limit.limit).toBe(13);
});

test('a probe has a permit beyond the limit', () => {
  const limit = limitWith({ max: 1 });
  expect(limit.tryAcquire()).toBe(true);
  limit.acquireBeyond();
  expect(limit.inFlight).toBe(2);
  limit.release('success', 10, 0);
  expect(limit.tryAcquire()).toBe(false);
});

test('50 simultaneous timeouts lower it once', () => {
  const limit = limitWith({ max: 50 });
  fill(limit);
  overload(limit, 0, 50);
  expect(limit.limit).toBe(42);
  expect(limit.inFlight).toBe(0);
});

test('it falls again after 100 ms, not before', () => {
  const limit = limitWith({ max: Infinity });
  fill(limit, 103);
  overload(limit, 0);
  overload(limit, 99, 1);
  expect(limit.limit).toBe(90);
  limit.release('success', 10, 100);
  overload(limit, 100, 1);
  expect(limit.limit).toBe(81);
});

test('silence alone lowers it once, however long it lasts', () => {
  const limit = limitWith({ max: Infinity });
  fill(limit, 113);
  overload(limit, 0);
  const once = limit.limit;
  for (let second = 1; second < 60; second++) overload(limit, second * 1_000, 1);
  expect(limit.limit).toBe(once);
  limit.release('failure', 10, 60_000);
  overload(limit, 60_000, 1);
  expect(limit.limit).toBeLessThan(once);
});

test('if replies take longer than 100 ms, it falls once per median latency', () => {
  const limit = limitWith({ max: Infinity });
  fill(limit, 104);
  limit.release('failure', 800, 0);
  overload(limit, 0);
  overload(limit, 799, 1);
  limit.release('failure', 800, 799);
  expect(limit.limit).toBe(90);
  overload(limit, 800, 1);
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
  const limit = fallen(9);
  while (limit.inFlight > 4) limit.release('ignored', 0, 0);
  for (let i = 0; i < 12; i++) {
    limit.release('success', 10, 0);
    limit.tryAcquire();
  }
  expect(limit.limit).toBe(9);
  fill(limit, 1);
  for (let i = 0; i < 12; i++) {
    limit.release('success', 10, 0);
    limit.tryAcquire();
  }
  expect(limit.limit).toBe(10);
});

test('grows from 1, though the last permit is the only one', () => {
  const limit = limitWith({ max: Infinity });
  fill(limit, 4);
  overload(limit, 0);
  expect(limit.limit).toBe(1);
  limit.tryAcquire();
  limit.release('success', 10, 1_000);
  expect(limit.limit).toBe(2);
});

test('stays within its bounds', () => {
  const limit = limitWith({ min: 2, max: 4 });
  fill(limit);
  overload(limit, 0);
  for (let i = 1; i < 50; i++) {
    limit.tryAcquire();
    overload(limit, i * 1_000, 1);
  }
  expect(limit.limit).toBe(2);
  for (let i = 0; i < 50; i++) {
    fill(limit);
    while (limit.inFlight > 0) limit.release('success', 10, 50_000);
  }
  expect(limit.limit).toBe(4);
});

test('latency above the ceiling is evidence, of a success and of a failure', () => {
  for (const evidence of ['success', 'failure'] as const) {
    const limit = limitWith({ latencyCeilingMs: 500 });
    fill(limit);
    for (let i = 0; i < 8; i++) limit.release(evidence, 500, 0);
    expect(limit.limit).toBe(20);
    fill(limit);
    for (let i = 0; i < 4; i++) limit.release(evidence, 501, 0);
    expect(limit.limit).toBe(15);
  }
});

test('a fall takes no permit back, and gives none until enough came home', () => {
  const limit = limitWith({ max: Infinity });
  fill(limit, 23);
  overload(limit, 0);
  expect([limit.limit, limit.inFlight]).toEqual([18, 19]);
  expect(limit.tryAcquire()).toBe(false);
  limit.release('ignored', 0, 0);
  expect(limit.tryAcquire()).toBe(false);
  limit.release('ignored', 0, 0);
  expect(limit.tryAcquire()).toBe(true);
});

test('fixed: never moves', () => {
  const limit = limitWith({ mode: 'fixed', max: 300 });
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
  const limit = fallen(2, { max: 6 });
  for (let to = 3; to < 6; to++) expect(limit.tryExtend(1)).toBe(true);
  expect(limit.tryExtend(1)).toBe(true);
  expect([limit.limit, limit.inFlight]).toEqual([6, 6]);
  expect(limit.tryExtend(1)).toBe(false);
  expect(limit.limit).toBe(6);
});

test('a sign of overload during the wait, even one that lowers nothing, leaves it as it is', () => {
  const limit = fallen(9);
  limit.release('failure', 10, 999);
  overload(limit, 1_000, 1);
  overload(limit, 1_050, 1);
  fill(limit);
  expect(limit.tryExtend(1_050)).toBe(false);
  expect(limit.tryExtend(1_051)).toBe(true);
  expect(limit.limit).toBe(9);
});

test('a limit below the number in flight is not extended past it', () => {
  const limit = limitWith({ max: Infinity });
  fill(limit, 103);
  overload(limit, 0);
  expect(limit.tryExtend(1)).toBe(false);
  expect(limit.limit).toBe(90);
});

test('a fixed one is never extended', () => {
  const limit = limitWith({ mode: 'fixed', max: 1 });
  fill(limit);
  expect(limit.tryExtend(0)).toBe(false);
});
