import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffCeilingMs, backoffMs, retryDelayMs, waitRange } from '../../src/policies/retry/backoff.ts';
import { BACKOFF_KINDS } from '../../src/policies/retry/growth.ts';
import type { BackoffOptions } from '../../src/policies/retry/options.ts';

const SEED = 20_260_115;
/** Timers overflow beyond it. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const ms = fc.oneof(
  fc.constantFrom(0, 1, 100, 10_000, LONGEST_TIMER_MS, Number.MAX_VALUE, Number.POSITIVE_INFINITY),
  // No subnormal numbers: half of the smallest one is not a half.
  fc.double({ min: 1e-6, max: 1e12, noNaN: true }),
);
const options: fc.Arbitrary<BackoffOptions> = fc.record({
  kind: fc.constantFrom(...BACKOFF_KINDS),
  baseMs: ms,
  overloadedBaseMs: ms,
  factor: fc.oneof(
    fc.constantFrom(0, 1, 2, 1e300, Number.POSITIVE_INFINITY),
    fc.double({ min: 0, max: 10, noNaN: true }),
  ),
  maxMs: ms,
  jitter: fc.constantFrom('full', 'equal', 'decorrelated', 'none'),
  listMs: fc.array(ms, { maxLength: 5 }),
});
const retry = fc.oneof(
  fc.integer({ min: 1, max: 100 }),
  fc.constantFrom(1000, 2 ** 31, Number.MAX_SAFE_INTEGER),
);
const step = fc.record({ retry, previousMs: ms, overloaded: fc.boolean() });
const roll = fc.oneof(
  fc.constantFrom(0, 1 - 2 ** -53),
  fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
);

test('a wait is a number from 0 to the cap, and a timer can wait for it, with any options', () => {
  fc.assert(
    fc.property(options, step, roll, (given, next, at) => {
      const cap = Math.min(given.maxMs, LONGEST_TIMER_MS);
      const ceiling = backoffCeilingMs(next.retry, given, next.overloaded);
      expect(ceiling).toBeGreaterThanOrEqual(0);
      expect(ceiling).toBeLessThanOrEqual(cap);
      const wait = backoffMs(next, given, () => at);
      expect(wait).toBeGreaterThanOrEqual(0);
      expect(wait).toBeLessThanOrEqual(given.jitter === 'decorrelated' ? cap : ceiling);
    }),
    { seed: SEED, numRuns: 2000 },
  );
});

test('every draw of a call lies in the range that is shown for it', () => {
  fc.assert(
    fc.property(
      options,
      fc.array(roll, { minLength: 1, maxLength: 12, size: 'max' }),
      fc.boolean(),
      (given, rolls, overloaded) => {
        let previousMs = 0;
        for (const [i, at] of rolls.entries()) {
          const wait = backoffMs({ retry: i + 1, previousMs, overloaded }, given, () => at);
          const { minMs, medianMs, maxMs } = waitRange(i + 1, given, overloaded);
          const rounding = 1e-9 * maxMs;
          expect(wait).toBeGreaterThanOrEqual(minMs - rounding);
          expect(wait).toBeLessThanOrEqual(maxMs + rounding);
          expect(medianMs).toBeGreaterThanOrEqual(minMs - rounding);
          expect(medianMs).toBeLessThanOrEqual(maxMs + rounding);
          previousMs = wait;
        }
      },
    ),
    { seed: SEED, numRuns: 200 },
  );
});

test('waits grow with the retries for every kind but a list, and never once they have reached the cap', () => {
  fc.assert(
    fc.property(options, retry, fc.boolean(), (given, n, overloaded) => {
      fc.pre(given.kind !== 'list' && given.factor >= 1);
      expect(backoffCeilingMs(n + 1, given, overloaded)).toBeGreaterThanOrEqual(
        backoffCeilingMs(n, given, overloaded),
      );
    }),
    { seed: SEED, numRuns: 1000 },
  );
});

test('a wait that the upstream asks for is a floor, and at most 5 s are added to it', () => {
  const finite = fc.double({ min: 0, max: 4e10, noNaN: true });
  fc.assert(
    fc.property(finite, finite, roll, (backoff, asked, at) => {
      const delay = retryDelayMs({ backoffMs: backoff, retryAfterMs: asked, random: () => at });
      expect(delay).toBeGreaterThanOrEqual(Math.max(asked, backoff));
      expect(delay).toBeLessThanOrEqual(Math.max(asked, backoff) + Math.min(5000, Math.max(50, asked / 10)));
    }),
    { seed: SEED, numRuns: 1000 },
  );
});
