import { describe, expect, test } from 'vitest';
import { ASKED_RETRY_COST, RETRY_COST, RetryBudget } from '../../src/policies/retry/budget.ts';
import type { BudgetOptions } from '../../src/policies/retry/options.ts';

const HOUR = 3_600_000;
const budget = (options: Partial<BudgetOptions> = {}) =>
  new RetryBudget({ cap: 10, ratio: 0.5, refillPerSecond: 0.1, ...options });

/** Withdraws until refused. */
function drain(from: RetryBudget, now = 0): number {
  let bought = 0;
  while (bought < 10_000 && from.withdraw(now)) bought++;
  return bought;
}

/** `successes` deposits into an emptied budget that time does not fill. */
function earned(ratio: number, successes: number): number {
  const from = budget({ cap: 5000, ratio, refillPerSecond: 0 });
  drain(from);
  for (let i = 0; i < successes; i++) from.deposit();
  return drain(from);
}

describe('success', () => {
  test('starts full: ten retries, then none', () => expect(drain(budget({ refillPerSecond: 0 }))).toBe(10));

  test.each([
    [0.6, 10, 6],
    [0.1, 10, 1],
    [0.1, 9, 0],
    [0.29, 100, 29],
    [0.57, 100, 57],
    [0.07, 1000, 70],
    // As floats, 1.001 · 1e6 falls short of 1001000.
    [1.001, 1000, 1001],
    [1.25, 4, 5],
    [0.5, 19, 9],
    [1 / 3, 3, 0],
    [1 / 3, 4, 1],
    [2 / 3, 3, 1],
    [1, 7, 7],
    [0, 1000, 0],
  ])('%d × %d successes buys %d', (ratio, successes, bought) =>
    expect(earned(ratio, successes)).toBe(bought),
  );

  test('an early withdrawal takes nothing', () => {
    const from = budget({ cap: 1, ratio: 0.5 });
    from.withdraw(0);
    from.deposit();
    expect(from.withdraw(0)).toBe(false);
    expect(from.tokens(0)).toBe(0.5);
    from.deposit();
    expect(from.withdraw(0)).toBe(true);
  });

  test('never above the cap, by success or by refund', () => {
    const from = budget();
    for (let i = 0; i < 100; i++) from.deposit();
    expect(from.tokens(0)).toBe(10);
    from.refund();
    expect(from.tokens(0)).toBe(10);
  });
});

describe('cost', () => {
  test('a retry costs one, an asked one half', () => {
    const from = budget();
    expect([RETRY_COST, ASKED_RETRY_COST]).toEqual([1, 0.5]);
    from.withdraw(0);
    expect(from.tokens(0)).toBe(9);
    from.withdraw(0, ASKED_RETRY_COST);
    expect(from.tokens(0)).toBe(8.5);
    from.refund();
    expect(from.tokens(0)).toBe(9.5);
    from.refund(ASKED_RETRY_COST);
    expect(from.tokens(0)).toBe(10);
  });

  test('half a token buys an asked retry only', () => {
    const from = budget({ cap: 0.5 });
    expect(from.withdraw(0)).toBe(false);
    expect(from.withdraw(0, ASKED_RETRY_COST)).toBe(true);
  });
});

describe('refill', () => {
  test('0.1 per second: a retry every 10 s', () => {
    const from = budget();
    drain(from);
    expect(from.withdraw(9_999)).toBe(false);
    expect(from.withdraw(10_000)).toBe(true);
    expect(from.withdraw(19_999)).toBe(false);
    expect(from.withdraw(20_000)).toBe(true);
  });

  test('being asked often loses nothing: each step earns less than a millionth', () => {
    const from = budget({ refillPerSecond: 0.001 });
    drain(from);
    for (let ms = 0; ms < 10_000; ms++) from.tokens(ms / 4);
    expect(from.tokens(2_500)).toBe(0.0025);
    expect(from.tokens(1_000_000)).toBe(1);
  });

  test('an idle hour fills it to the cap and not above', () => {
    const from = budget();
    drain(from);
    expect(from.tokens(HOUR)).toBe(10);
    expect(drain(from, HOUR)).toBe(10);
  });

  test('a full bucket saves up no time', () => {
    const from = budget();
    expect(drain(from, HOUR)).toBe(10);
    expect(from.withdraw(HOUR + 9_999)).toBe(false);
    expect(from.withdraw(HOUR + 10_000)).toBe(true);
  });

  test('stops while the breaker is not closed, and the tokens stay', () => {
    const from = budget();
    drain(from);
    from.trickling(false, 15_000);
    expect(from.tokens(HOUR)).toBe(1.5);
    from.trickling(false, HOUR);
    from.trickling(true, HOUR);
    from.trickling(true, HOUR + 5_000);
    expect(from.tokens(HOUR + 5_000)).toBe(2);
  });

  test('turning it on again costs no fraction', () => {
    const from = budget({ refillPerSecond: 0.001 });
    drain(from);
    for (let ms = 0; ms < 10_000; ms++) from.trickling(true, ms / 4);
    expect(from.tokens(2_500)).toBe(0.0025);
  });

  test('time that does not move on, or moves back, earns nothing', () => {
    const from = budget();
    drain(from, HOUR);
    expect(from.tokens(HOUR)).toBe(0);
    expect(from.tokens(HOUR - 60_000)).toBe(0);
  });

  test('everything failing at 100 rps for an hour: the cap and the refill, no more', () => {
    const from = budget();
    let retries = 0;
    for (let now = 0; now < HOUR; now += 10) if (from.withdraw(now)) retries++;
    expect(retries).toBe(10 + 359);
  });
});

describe('values at the ends', () => {
  test('empty: never a retry', () => {
    const from = budget({ cap: 0, ratio: 0, refillPerSecond: 0 });
    from.deposit();
    from.refund();
    expect(from.withdraw(HOUR)).toBe(false);
    expect(from.tokens(HOUR)).toBe(0);
  });

  test('a cap of 0 holds no token', () => {
    const from = budget({ cap: 0, ratio: 1, refillPerSecond: 100 });
    from.deposit();
    expect(from.withdraw(HOUR)).toBe(false);
  });

  test('infinite: never refused', () => {
    const from = budget({ cap: Number.POSITIVE_INFINITY });
    expect(drain(from)).toBe(10_000);
    from.deposit();
    from.refund();
    from.trickling(false, 5);
    expect(from.tokens(HOUR)).toBe(Number.POSITIVE_INFINITY);
  });

  test('infinite ratio or refill fill to the cap', () => {
    const rich = budget({ ratio: Number.POSITIVE_INFINITY, refillPerSecond: 0 });
    drain(rich);
    rich.deposit();
    expect(rich.tokens(0)).toBe(10);
    const quick = budget({ refillPerSecond: Number.POSITIVE_INFINITY });
    expect(drain(quick)).toBe(10);
    expect(quick.withdraw(0)).toBe(false);
    expect(quick.tokens(1)).toBe(10);
  });
});
