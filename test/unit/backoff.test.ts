import { describe, expect, test } from 'vitest';
import { backoffCeilingMs, backoffMs, retryDelayMs, waitRange } from '../../src/policies/retry/backoff.ts';
import type { BackoffOptions, Jitter } from '../../src/policies/retry/options.ts';
import type { Random } from '../../src/runtime/random.ts';
import { seededRandom } from '../support/seeded-random.ts';

const defaults: BackoffOptions = {
  kind: 'exponential',
  baseMs: 100,
  overloadedBaseMs: 1_000,
  factor: 2,
  maxMs: 10_000,
  jitter: 'full',
  listMs: [],
};
const lowest: Random = () => 0;
const ALMOST_ONE = 1 - 2 ** -53;
const highest: Random = () => ALMOST_ONE;

/** The waits of one call that always fails the same way. */
function waits(count: number, options: BackoffOptions, random: Random, overloaded = false): number[] {
  const drawn: number[] = [];
  for (let retry = 1; retry <= count; retry++) {
    drawn.push(backoffMs({ retry, previousMs: drawn.at(-1) ?? 0, overloaded }, options, random));
  }
  return drawn;
}

describe('growth', () => {
  const ceilings = (options: Partial<BackoffOptions>, overloaded = false) =>
    [1, 2, 3, 4, 5, 6, 7, 8, 9].map((retry) =>
      backoffCeilingMs(retry, { ...defaults, ...options }, overloaded),
    );

  test.each([
    ['exponential', {}, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]],
    ['exponential by 3', { factor: 3 }, [100, 300, 900, 2700, 8100, 10_000, 10_000, 10_000, 10_000]],
    ['exponential by 1', { factor: 1 }, [100, 100, 100, 100, 100, 100, 100, 100, 100]],
    ['linear', { kind: 'linear', maxMs: 750 }, [100, 200, 300, 400, 500, 600, 700, 750, 750]],
    ['constant', { kind: 'constant' }, [100, 100, 100, 100, 100, 100, 100, 100, 100]],
    ['fibonacci', { kind: 'fibonacci', maxMs: 2_000 }, [100, 100, 200, 300, 500, 800, 1300, 2000, 2000]],
    ['list', { kind: 'list', listMs: [50, 20_000, 70] }, [50, 10_000, 70, 70, 70, 70, 70, 70, 70]],
    ['empty list', { kind: 'list', listMs: [] }, [0, 0, 0, 0, 0, 0, 0, 0, 0]],
  ] as const)('%s', (_, options, expected) => expect(ceilings(options)).toEqual(expected));

  test('fibonacci numbers stay exact', () => {
    expect(backoffCeilingMs(40, { ...defaults, kind: 'fibonacci', baseMs: 1, maxMs: 2e9 }, false)).toBe(
      102_334_155,
    );
  });

  test('overload starts from its own base, but a list has none', () => {
    expect(ceilings({}, true).slice(0, 5)).toEqual([1000, 2000, 4000, 8000, 10_000]);
    expect(ceilings({ kind: 'list', listMs: [50] }, true)[0]).toBe(50);
    expect(ceilings({ jitter: 'decorrelated' }, true).slice(0, 3)).toEqual([3000, 9000, 10_000]);
  });
});

describe('jitter', () => {
  const at = (jitter: Jitter, random: Random) => waits(9, { ...defaults, jitter }, random);

  test('full: from 0 to just below the ceiling', () => {
    expect(at('full', lowest)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0]);
    const top = at('full', highest);
    [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000].forEach((ceiling, i) => {
      expect(top[i]).toBeLessThan(ceiling);
      expect(top[i]).toBeCloseTo(ceiling, 6);
    });
  });

  test('equal: the upper half', () => {
    expect(at('equal', lowest)).toEqual([50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    expect(at('equal', () => 0.5)).toEqual([75, 150, 300, 600, 1200, 2400, 4800, 7500, 7500]);
    expect(at('equal', highest).at(-1)).toBeCloseTo(10_000, 6);
  });

  test('none: the ceiling', () => expect(at('none', lowest)).toEqual(at('none', highest)));

  test('decorrelated: from the base to three times the last', () => {
    expect(at('decorrelated', lowest)).toEqual([100, 100, 100, 100, 100, 100, 100, 100, 100]);
    expect(at('decorrelated', () => 1)).toEqual([
      300, 900, 2700, 8100, 10_000, 10_000, 10_000, 10_000, 10_000,
    ]);
    const options: BackoffOptions = { ...defaults, jitter: 'decorrelated' };
    expect(backoffMs({ retry: 2, previousMs: 200, overloaded: false }, options, () => 0.5)).toBe(350);
    expect(backoffMs({ retry: 2, previousMs: 100, overloaded: true }, options, lowest)).toBe(1000);
    expect(backoffMs({ retry: 2, previousMs: 100, overloaded: true }, options, () => 1)).toBe(3000);
  });

  test.each([
    ['full', 0.2],
    ['decorrelated', 0.2],
    // A range of half the cap cannot deviate more than 0.144.
    ['equal', 0.13],
  ] as const)('%s survives the cap: a thousand draws at n = 50 spread', (jitter, share) => {
    const random = seededRandom(1);
    const draws = Array.from({ length: 1000 }, () => waits(50, { ...defaults, jitter }, random).at(-1) ?? 0);
    const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;
    const deviation = Math.sqrt(draws.reduce((sum, draw) => sum + (draw - mean) ** 2, 0) / draws.length);
    expect(deviation).toBeGreaterThan(share * defaults.maxMs);
  });
});

describe('a wait that the upstream asks for', () => {
  const delay = (backoff: number, retryAfterMs: number | undefined, random: Random) =>
    retryDelayMs({ backoffMs: backoff, retryAfterMs, random });

  test('nothing asked: the backoff as it is', () => expect(delay(123, undefined, highest)).toBe(123));

  test.each([
    ['5 s', { backoff: 100, asked: 5_000 }, 5_000, 5_500],
    ['less than the backoff', { backoff: 800, asked: 500 }, 800, 850],
    ['nothing: now', { backoff: 0, asked: 0 }, 0, 50],
    ['a second: a tenth', { backoff: 0, asked: 1_000 }, 1_000, 1_100],
    ['10 ms: at least 50 ms of spread', { backoff: 0, asked: 10 }, 10, 60],
    ['an hour: at most 5 s of spread', { backoff: 0, asked: 3_600_000 }, 3_600_000, 3_605_000],
  ])('%s', (_, { backoff, asked }, from, to) => {
    expect(delay(backoff, asked, lowest)).toBe(from);
    expect(delay(backoff, asked, highest)).toBeCloseTo(to, 6);
  });
});

describe('range of a wait', () => {
  const range = (options: Partial<BackoffOptions>, retry = 3, overloaded = false) =>
    waitRange(retry, { ...defaults, ...options }, overloaded);

  test('full, equal and none are exact', () => {
    expect(range({})).toEqual({ minMs: 0, medianMs: 200, maxMs: 400 });
    expect(range({ jitter: 'equal' })).toEqual({ minMs: 200, medianMs: 300, maxMs: 400 });
    expect(range({ jitter: 'none' })).toEqual({ minMs: 400, medianMs: 400, maxMs: 400 });
    expect(range({}, 2, true)).toEqual({ minMs: 0, medianMs: 1000, maxMs: 2000 });
  });

  test('decorrelated: bounds of the recurrence', () => {
    expect(range({ jitter: 'decorrelated' }, 1)).toMatchObject({ minMs: 100, maxMs: 300 });
    expect(range({ jitter: 'decorrelated' }, 4)).toMatchObject({ minMs: 100, maxMs: 8100 });
    expect(range({ jitter: 'decorrelated' }, 1e9)).toMatchObject({ minMs: 100, maxMs: 10_000 });
    expect(range({ jitter: 'decorrelated' }, 1, true)).toMatchObject({ minMs: 1000, maxMs: 3000 });
    expect(range({ jitter: 'decorrelated', baseMs: 20_000 })).toEqual({
      minMs: 10_000,
      medianMs: 10_000,
      maxMs: 10_000,
    });
  });

  test('decorrelated: the median is the middle of many draws', () => {
    const options: BackoffOptions = { ...defaults, jitter: 'decorrelated' };
    const random = seededRandom(7);
    const runs = Array.from({ length: 20_000 }, () => waits(20, options, random));
    expect(waitRange(1, options, false).medianMs).toBeCloseTo(200, 9);
    for (const retry of [1, 2, 3, 5, 10, 20]) {
      const drawn = runs.map((run) => run[retry - 1] ?? 0).sort((a, b) => a - b);
      const observed = drawn[drawn.length / 2] ?? 0;
      const { medianMs } = waitRange(retry, options, false);
      expect(
        Math.abs(medianMs / observed - 1),
        `retry ${retry}: ${medianMs} against ${observed}`,
      ).toBeLessThan(0.03);
    }
  });
});
