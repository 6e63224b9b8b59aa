import { expect, test } from 'vitest';
import { SEEDS } from '../../bench/outage/gates.ts';
import { TARGET_GATES, targetReadings } from '../../bench/outage/targets/gates.ts';

/** Virtual time: some 100 simulated seconds take about a second, more on a busy machine. */
const TIMEOUT_MS = 120_000;

test.each(TARGET_GATES.map((gate) => [gate.name, gate] as const))(
  'the other targets carry the load: %s',
  async (_name, gate) => {
    for (const seed of SEEDS) {
      const missed = (await targetReadings(gate, seed)).filter(({ holds }) => !holds);
      expect(missed.map(({ text }) => `seed ${seed}: ${text}`)).toEqual([]);
    }
  },
  TIMEOUT_MS,
);
