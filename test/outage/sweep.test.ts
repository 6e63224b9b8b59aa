import { expect, test } from 'vitest';
import { runSeed } from '../../bench/outage/sweep/run-seed.ts';

/** A short form of `node bench/outage/sweep.ts`, which takes the first 500. */
const SEEDS = Array.from({ length: 100 }, (_, i) => i + 1);
const TIMEOUT_MS = 300_000;

test(
  'no random combination of fault, load and settings has more attempts than the budget allows, nor 3 points less success than no proxy',
  async () => {
    for (const seed of SEEDS) {
      const { attempts, below, bound, exception } = await runSeed(seed);
      expect({ seed, beyond: Math.max(0, attempts - bound) }).toEqual({ seed, beyond: 0 });
      expect({ seed, below: below && exception === undefined }).toEqual({ seed, below: false });
    }
  },
  TIMEOUT_MS,
);
