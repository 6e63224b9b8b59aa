import { describe, expect, test } from 'vitest';
import { attemptsBound, overloadWarning } from '../../src/simulate/bound.ts';
import { builtInSettings } from '../../src/simulate/built-in.ts';
import { bars, bracket } from '../../src/simulate/chart.ts';
import type { SimulatedCall } from '../../src/simulate/client.ts';
import { figuresOf } from '../../src/simulate/figures.ts';
import { outageScenario, type Scenario } from '../../src/simulate/scenario.ts';
import { seriesOf } from '../../src/simulate/series.ts';
import type { Run } from '../../src/simulate/simulate.ts';
import { isUnlucky } from '../../src/simulate/fault-schedule.ts';

const SCENARIO = outageScenario({ kind: 'outage' }, { faultAtMs: 10_000, faultMs: 5_000, endMs: 115_000 });

/** Ten calls a second, evenly; `ok` says how each one went. */
function steady(ok: (atMs: number) => boolean, scenario: Scenario = SCENARIO): Run {
  const calls: SimulatedCall[] = [];
  for (let atMs = 0; atMs < scenario.endMs; atMs += 100) {
    const call = {
      target: `/${calls.length}`,
      path: '/{n}',
      tries: 1,
      attempts: 1,
      ms: 1,
      failure: undefined,
    };
    calls.push({ ...call, atMs, ok: ok(atMs) });
  }
  return { scenario, calls, reached: calls.flatMap((call) => [call, call]), served: 10, shed: 0, wasted: 1 };
}

describe('figures', () => {
  test('requests belong to the phase in which they arrive', () => {
    const { before, during, after, whole, wasted, rescued } = figuresOf(
      steady((at) => at < 10_000 || at >= 30_000),
      3,
    );
    expect([before, during, after, whole].map(({ requests }) => requests)).toEqual([100, 50, 600, 1_150]);
    expect([before, during, after].map(({ success }) => success)).toEqual([1, 0, 0.75]);
    expect(during).toMatchObject({ attempts: 100, attemptsPerRequest: 2, successes: 0 });
    expect([wasted, rescued]).toEqual([0.1, undefined]);
  });

  test.each([
    [0, (at: number) => at < 10_000 || at >= 15_000],
    // The 5-s window from second 15 on has 48 of 50: 96 %. From second 14 on, 38 of 50.
    [15, (at: number) => at < 10_000 || at >= 30_200],
    [undefined, (at: number) => at < 10_000],
    // A relapse of a second within the six windows that count starts them again.
    [9, (at: number) => at < 10_000 || (at >= 15_000 && (at < 23_000 || at >= 24_000))],
  ])('recovered after %s s', (seconds, ok) =>
    expect(figuresOf(steady(ok), 3).recoveredAfterSeconds).toBe(seconds),
  );

  test('a minute without load counts as success, without amplification', () => {
    const run: Run = { ...steady(() => true), calls: [], reached: [], served: 0, wasted: 0 };
    expect(figuresOf(run, 3)).toMatchObject({ during: { success: 1, attemptsPerRequest: 0 }, wasted: 0 });
  });

  test('the rescued share is relative to the best possible result of this seed', () => {
    const flaky = outageScenario(
      { kind: 'flaky', share: 0.5 },
      { faultAtMs: 0, faultMs: 115_000, endMs: 115_000, seed: 4 },
    );
    const bad = (atMs: number, attempt: number) => isUnlucky(4, 0.5, { target: `/${atMs / 100}`, attempt });
    const within = (attempts: number) => (atMs: number) =>
      [1, 2, 3].slice(0, attempts).some((n) => !bad(atMs, n));
    expect(figuresOf(steady(within(3), flaky), 3).rescued).toBe(1);
    expect(figuresOf(steady(within(1), flaky), 3).rescued).toBe(0);
    expect(figuresOf(steady(within(2), flaky), 3).rescued).toBeCloseTo(2 / 3, 1);
    // A hedge can save a call that the retries alone could not.
    expect(figuresOf(steady(within(3), flaky), 2).rescued).toBe(1);
    expect(
      figuresOf(
        steady(() => false, flaky),
        3,
      ).rescued,
    ).toBeLessThan(-1);
  });
});

describe('the bound', () => {
  const settings = builtInSettings().upstream;
  const outage = { fault: { kind: 'outage' }, callers: 4, capacityPerSecond: 100 } as const;

  test('is the budget: cap and refill per caller, and a share of the successes', () => {
    const bound = attemptsBound(settings, outage, { requests: 1_000, successes: 100, ms: 30_000 });
    expect(bound).toEqual({
      attempts: 1_152,
      attemptsPerRequest: 1.152,
      formula: '1000 + 4 · (10 + 0.1 · 30) + 1 · 100',
    });
  });

  test('counts tokens twice if the upstream asks for the wait, because such a retry costs half', () => {
    const limited = { ...outage, fault: { kind: 'rate-limited' } } as const;
    const bound = attemptsBound(settings, limited, { requests: 1_000, successes: 100, ms: 30_000 });
    expect(bound.attempts).toBe(1_304);
    expect(bound.formula).toBe('1000 + 2 · (4 · (10 + 0.1 · 30) + 1 · 100)');
  });

  test('is never more than the attempts that each call may have', () => {
    const bound = attemptsBound(settings, outage, { requests: 10, successes: 10, ms: 30_000 });
    expect(bound).toEqual({ attempts: 30, attemptsPerRequest: 3, formula: '10 requests · 3 attempts' });
    expect(attemptsBound(settings, outage, { requests: 0, successes: 0, ms: 0 }).attemptsPerRequest).toBe(0);
  });
});

describe('the warning', () => {
  const settings = builtInSettings().upstream;
  const load = { ratePerSecond: 80, callers: 1, capacityPerSecond: 100 };

  test('appears if load and retries together exceed the capacity, with the fix', () => {
    expect(overloadWarning(settings, load)).toBe(
      '80/s · (1 + 1) + 0.1/s = 160.1/s is above the stated capacity of 100/s, so without the breaker and the adaptive limit retries could sustain an outage; write retry.budget.ratio: 0.24 or less to exclude this',
    );
  });

  test('is stronger if no breaker and no limit would end the overload', () => {
    const { breaker, concurrency } = settings;
    const bare = {
      ...settings,
      breaker: { ...breaker, mode: 'shadow' as const },
      concurrency: { ...concurrency, mode: 'fixed' as const },
    };
    expect(overloadWarning(bare, load)).toContain(
      'so retries can sustain an outage, and no breaker or adaptive limit ends it',
    );
  });

  test.each([
    ['there is room for the retries', settings, { ...load, capacityPerSecond: 161 }],
    ['there are none', { ...settings, retry: { ...settings.retry, attempts: 1 } }, load],
    ['they are few', { ...settings, budget: { ...settings.budget, ratio: 0.2 } }, load],
  ])('does not appear if %s', (_why, given, at) => expect(overloadWarning(given, at)).toBeUndefined());

  test('includes the refill of many callers', () => {
    const few = { ...settings, budget: { ...settings.budget, ratio: 0.2 } };
    expect(overloadWarning(few, { ...load, callers: 80 })).toContain('+ 8/s = 104/s');
  });

  test('a load above the capacity needs no retries', () => {
    expect(overloadWarning(settings, { ...load, capacityPerSecond: 80 })).toBe(
      'the load alone, 80/s, is not below the stated capacity of 80/s; lower --rps, or raise --capacity',
    );
  });
});

describe('charts', () => {
  test('bars of two lines', () => {
    expect(bars([0, 1, 4, 8, 12, 16, 99, undefined], 16, 2)).toEqual(['    ▄██ ', ' ▁▄████ ']);
  });

  test('a small value is visible', () => expect(bars([0.001], 1_000, 1)).toEqual(['▁']));
  test('no scale, no bars', () => expect(bars([0, 0], 0, 1)).toEqual(['  ']));

  test('the bracket has its name inside, or next to it', () => {
    expect(bracket(2, 16, 'outage')).toBe('  └── outage ──┘');
    expect(bracket(1, 4, 'outage')).toBe(' └─┘ outage');
  });

  test('a series covers the time around the fault', () => {
    const series = seriesOf(
      steady((at) => at < 10_000 || at >= 15_000),
      15,
    );
    expect(series.map(({ atSeconds }) => atSeconds)).toEqual(
      Array.from({ length: 15 }, (_, i) => i * 5 - 10),
    );
    expect(series.map(({ success }) => success).slice(0, 4)).toEqual([1, 1, 0, 1]);
    expect(series[0]).toMatchObject({ requestsPerSecond: 10, attemptsPerSecond: 20 });
  });
});
