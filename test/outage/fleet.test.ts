import { expect, test } from 'vitest';
import { fleetFigures } from '../../bench/outage/fleet/figures.ts';
import { FLEET_GATES, fleetReadings } from '../../bench/outage/fleet/gates.ts';
import { BURST, LIMIT, simulateFleet } from '../../bench/outage/fleet/run.ts';
import { SEEDS } from '../../bench/outage/gates.ts';

/** Virtual time: a run of 30 simulated seconds takes some tenths of a second, more on a busy machine. */
const TIMEOUT_MS = 120_000;

test.each(FLEET_GATES.map((gate) => [gate.name, gate] as const))(
  'replicas with one quota hold it together: %s',
  async (_name, gate) => {
    for (const seed of SEEDS) {
      const missed = (await fleetReadings(gate, seed)).filter(({ holds }) => !holds);
      expect(missed.map(({ text }) => `seed ${seed}: ${text}`)).toEqual([]);
    }
  },
  TIMEOUT_MS,
);

test(
  'the gates notice replicas that know nothing of each other',
  async () => {
    const gate = FLEET_GATES[0]!;
    const { limited, most } = fleetFigures(await simulateFleet('alone', gate, 1));
    expect(most).toBeGreaterThan(LIMIT + BURST);
    expect(limited).toBeGreaterThan(0.2);
  },
  TIMEOUT_MS,
);
