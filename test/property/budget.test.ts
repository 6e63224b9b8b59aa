import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RetryBudget } from '../../src/policies/retry/budget.ts';
import type { BudgetOptions } from '../../src/policies/retry/options.ts';

const SEED = 20_260_115;
const HOUR = 3_600_000;

/** Decimals as a person writes them. */
const decimal = (max: number) => fc.integer({ min: 0, max: max * 100 }).map((hundredths) => hundredths / 100);
const options: fc.Arbitrary<BudgetOptions> = fc.record({
  cap: fc.oneof(decimal(20), fc.constantFrom(0, 1, 10)),
  ratio: fc.oneof(decimal(2), fc.constantFrom(0, 0.1, 0.5, 0.6)),
  refillPerSecond: fc.oneof(decimal(5), fc.constantFrom(0, 0.1)),
});

type Step =
  | { readonly do: 'request' | 'success' | 'retry' | 'refund' }
  | { readonly do: 'trickling'; readonly on: boolean }
  | { readonly do: 'wait'; readonly ms: number };

const plain = (...names: readonly ('request' | 'success' | 'retry' | 'refund')[]): fc.Arbitrary<Step> =>
  fc.constantFrom(...names.map((name) => ({ do: name })));
const wait: fc.Arbitrary<Step> = fc.record({
  do: fc.constant('wait' as const),
  ms: fc.oneof(
    fc.integer({ min: 0, max: 2000 }),
    fc.double({ min: 0, max: 100, noNaN: true }),
    fc.constant(HOUR),
  ),
});
const trickling: fc.Arbitrary<Step> = fc.record({ do: fc.constant('trickling' as const), on: fc.boolean() });
const history = (...steps: readonly fc.WeightedArbitrary<Step>[]) =>
  fc.array(fc.oneof(...steps), { maxLength: 400, size: 'max' });

/** Sums so far; the difference of two moments is what happened in the window between them. */
interface Moment {
  readonly requests: number;
  readonly attempts: number;
  readonly successes: number;
  /** Seconds in which the breaker was closed. */
  readonly closedSeconds: number;
}

/** Plays a history against a budget: `seen` is called after each step with the sums so far. */
function play(
  budget: RetryBudget,
  steps: readonly Step[],
  seen: (moment: Moment, now: number) => void,
): void {
  let now = 0;
  let closed = true;
  let outstanding = 0;
  const sum = { requests: 0, attempts: 0, successes: 0, closedSeconds: 0 };
  const act: { [K in Step['do']]: (step: Extract<Step, { do: K }>) => void } = {
    request: () => {
      sum.requests++;
      sum.attempts++;
    },
    success: () => {
      sum.successes++;
      budget.deposit();
    },
    retry: () => {
      if (!budget.withdraw(now)) return;
      sum.attempts++;
      outstanding++;
    },
    refund: () => {
      if (outstanding === 0) return;
      outstanding--;
      sum.attempts--; // the retry was not made after all
      budget.refund();
    },
    trickling: ({ on }) => budget.trickling((closed = on), now),
    wait: ({ ms }) => {
      now += ms;
      if (closed) sum.closedSeconds += ms / 1000;
    },
  };
  seen({ ...sum }, now);
  for (const step of steps) {
    (act[step.do] as (step: Step) => void)(step);
    seen({ ...sum }, now);
  }
}

/**
 * Floats sum up time, in the test and in the budget; a token is more than ten million times as large as their error,
 * so a retry too many cannot hide in it.
 */
const FLOAT_ERROR = 1e-7;

test('over every window, attempts ≤ requests + cap + ratio · successes + refill · t', () => {
  const steps = history(
    { arbitrary: plain('request', 'success', 'retry'), weight: 6 },
    { arbitrary: plain('refund'), weight: 1 },
    { arbitrary: wait, weight: 1 },
    { arbitrary: trickling, weight: 1 },
  );
  fc.assert(
    fc.property(options, steps, ({ cap, ratio, refillPerSecond }, played) => {
      // The window with the most attempts to spare ends now and began where this was lowest.
      let lowest = Number.POSITIVE_INFINITY;
      let most = 0;
      play(new RetryBudget({ cap, ratio, refillPerSecond }), played, (at) => {
        const spent = at.attempts - at.requests - ratio * at.successes - refillPerSecond * at.closedSeconds;
        lowest = Math.min(lowest, spent);
        most = Math.max(most, spent - lowest);
      });
      expect(most).toBeLessThanOrEqual(cap + FLOAT_ERROR);
    }),
    { seed: SEED, numRuns: 1500 },
  );
});

test('holds from nothing to the cap at all times, and is full again after idling long enough', () => {
  const steps = history(
    { arbitrary: plain('success', 'retry', 'refund'), weight: 6 },
    { arbitrary: wait, weight: 1 },
    { arbitrary: trickling, weight: 1 },
  );
  fc.assert(
    fc.property(options, steps, (given, played) => {
      const budget = new RetryBudget(given);
      let last = 0;
      let [least, most] = [given.cap, 0];
      play(budget, played, (_, now) => {
        least = Math.min(least, budget.tokens(now));
        most = Math.max(most, budget.tokens(now));
        last = now;
      });
      expect(least).toBeGreaterThanOrEqual(0);
      expect(most).toBeLessThanOrEqual(given.cap);
      budget.trickling(true, last);
      const rested = budget.tokens(last + HOUR);
      expect(rested).toBe(given.refillPerSecond > 0 ? given.cap : budget.tokens(last));
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test('gives all that it promises: a refusal means that less than one token was left', () => {
  const steps = history(
    { arbitrary: plain('success', 'retry'), weight: 6 },
    {
      arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 2000 }) }),
      weight: 1,
    },
  );
  fc.assert(
    fc.property(options, steps, ({ cap, ratio, refillPerSecond }, played) => {
      const budget = new RetryBudget({ cap, ratio, refillPerSecond });
      let tokens = cap;
      const wrong: object[] = [];
      for (let now = 0, i = 0; i < played.length; i++) {
        const step = played[i];
        if (step?.do === 'success') {
          tokens = Math.min(cap, tokens + ratio);
          budget.deposit();
        } else if (step?.do === 'wait') {
          tokens = Math.min(cap, tokens + (refillPerSecond * step.ms) / 1000);
          now += step.ms;
        } else {
          const granted = budget.withdraw(now);
          // Within the error of the floats of this model, either answer is right.
          if (Math.abs(tokens - 1) > FLOAT_ERROR && granted !== tokens > 1)
            wrong.push({ i, tokens, granted });
          if (granted) tokens -= 1;
        }
      }
      expect(wrong).toEqual([]);
    }),
    { seed: SEED, numRuns: 1000 },
  );
});
