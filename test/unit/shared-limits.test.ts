import { expect, test } from 'vitest';
import type { QuotaReading } from '../../src/http/rate-limit.ts';
import { SharedLimits } from '../../src/policies/quota/shared-limits.ts';

const READING: QuotaReading = {
  bucket: 'default',
  unit: 'calls',
  policy: '',
  resource: '',
  limit: 100,
  remaining: 100,
  resetMs: 60_000,
  windowMs: undefined,
  continuous: false,
};

/** The results of one reading a second, each of an attempt that left after the reply before it: the scope, what is left, and other changes. */
function observe(...readings: Array<readonly [scope: string, remaining: number, Partial<QuotaReading>?]>) {
  const limits = new SharedLimits();
  return readings.map(([scope, remaining, changes], second) => {
    const now = 1_000 * second;
    return limits.observe(
      { ...READING, remaining, resetMs: 60_000 - now, ...changes },
      scope,
      now - 500,
      now,
    );
  });
}

test('one counter that goes down from scope to scope and back is shared', () => {
  expect(observe(['a', 90], ['b', 89], ['a', 88], ['b', 87])).toEqual(['own', 'own', 'shared', 'shared']);
});

test('calls of one scope alone say nothing about others', () => {
  expect(observe(['a', 90], ['a', 89], ['a', 88], ['b', 87])).toEqual(['own', 'own', 'own', 'own']);
});

test('a reading that rises in another scope says that the scopes count apart', () => {
  expect(observe(['a', 90], ['b', 89], ['a', 88], ['b', 95])).toEqual([
    'own',
    'own',
    'shared',
    'no longer shared',
  ]);
  expect(observe(['a', 10], ['b', 90], ['a', 9], ['b', 89])).toEqual(['own', 'own', 'own', 'own']);
});

test('scopes with the same count do not share it, but one that is used up stays at zero for all', () => {
  expect(observe(['a', 90], ['b', 90], ['a', 89], ['b', 89])).not.toContain('shared');
  expect(observe(['a', 2], ['b', 1], ['a', 0], ['b', 0]).at(-1)).toBe('shared');
});

test('another limit or another reset is another counter', () => {
  expect(observe(['a', 90], ['b', 89, { limit: 50 }], ['a', 88])).not.toContain('shared');
  expect(
    observe(['a', 90], ['b', 89, { resetMs: 30_000 }], ['a', 88], ['b', 87, { resetMs: 28_000 }]),
  ).not.toContain('shared');
});

test('it stays shared in the next window', () => {
  expect(observe(['a', 3], ['b', 2], ['a', 1], ['b', 99, { resetMs: 117_000 }]).at(-1)).toBe('shared');
});

test('what flows back, or says too little, is the scope’s own', () => {
  const flowing = { continuous: true };
  expect(observe(['a', 90, flowing], ['b', 89, flowing], ['a', 88, flowing])).not.toContain('shared');
  const silent = { resetMs: undefined };
  expect(observe(['a', 90, silent], ['b', 89, silent], ['a', 88, silent])).not.toContain('shared');
});

test('a reply that was overtaken changes nothing', () => {
  const limits = new SharedLimits();
  const at = (scope: string, remaining: number, startedAt: number, now: number) =>
    limits.observe({ ...READING, remaining, resetMs: 60_000 - now }, scope, startedAt, now);
  expect([at('a', 90, 0, 1_000), at('b', 89, 1_000, 2_000), at('a', 88, 2_000, 3_000)]).toEqual([
    'own',
    'own',
    'shared',
  ]);
  expect(at('b', 95, 2_500, 4_000)).toBe('shared');
  expect(at('b', 95, 4_000, 5_000)).toBe('no longer shared');
});
