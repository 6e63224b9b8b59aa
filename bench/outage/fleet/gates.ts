import type { Reading } from '../gates.ts';
import { type FleetFigures, fleetFigures } from './figures.ts';
import { BURST, type FleetCase, LIMIT, simulateFleet, type Trouble } from './run.ts';

/** Bounds of a run with `shared`, for each seed. `used`, `usedAway` and `success` are the least; everything else is the most. */
export interface FleetGate extends FleetCase {
  readonly name: string;
  readonly bounds: Partial<FleetFigures>;
}

const TEXTS: Readonly<Record<Trouble, string>> = {
  none: 'the store is well',
  cut: 'the store is gone for 10 s',
  slow: 'the store takes 500 ms for 10 s',
  'slow replies': 'its replies take 500 ms for 10 s',
  'one slow': 'one replica has a slow way to the store for 10 s',
  stalls: 'replicas stall for 200 ms, about every 2 s, for 10 s',
  flush: 'the store loses its data',
  kills: 'a replica is killed every 2 s',
};

const TROUBLES = Object.keys(TEXTS) as Trouble[];

/** Whatever happens: the limit and its burst, no 429 of the provider, and the store is used again within five seconds. */
const ALWAYS = { most: LIMIT + BURST, limited: 0, backMs: 5_000 };

interface Size {
  readonly loads: readonly number[];
  readonly used: number;
  readonly usedAway: number;
  /** Of calls, while the store is well. */
  readonly success: number;
  readonly requests: number;
}

const SIZES: readonly Size[] = [
  // Much more than the quota. A share that one replica does not need is not used while the store is away.
  { loads: [80, 60, 20], used: 0.95, usedAway: 0.8, success: 0.6, requests: 200 },
  // Exactly the quota.
  { loads: Array.from({ length: 20 }, () => 5), used: 0.9, usedAway: 0.8, success: 0.99, requests: 1_500 },
  // Each replica has a heartbeat a second, and about a call a second. A share of 1.25/s keeps many of them waiting for too long.
  { loads: Array.from({ length: 80 }, () => 1.25), used: 0.9, usedAway: 0.6, success: 0.99, requests: 2_000 },
];

export const FLEET_GATES: readonly FleetGate[] = SIZES.flatMap((size) =>
  TROUBLES.map((trouble) => ({
    name: `${size.loads.length} replicas, ${TEXTS[trouble]}`,
    loads: size.loads,
    trouble,
    bounds: { ...ALWAYS, ...boundsOf(size, trouble) },
  })),
);

function boundsOf(size: Size, trouble: Trouble): Partial<FleetFigures> {
  const { requests, success, used, usedAway } = size;
  switch (trouble) {
    case 'none':
      return { used, success, requests };
    // A process that is killed takes up to half a second of its units with it.
    case 'kills':
      return { used: Math.min(used, 0.9) };
    case 'cut':
    case 'slow':
    case 'slow replies':
      return { used, usedAway };
    case 'stalls':
    case 'flush':
      return { used };
    // The engine gets to know of its share when others may have leased at the same time.
    case 'one slow':
      return { used, most: 1.15 * LIMIT };
  }
}

export async function fleetReadings(one: FleetGate, seed: number): Promise<Reading[]> {
  return compared(one.bounds, fleetFigures(await simulateFleet('shared', one, seed)));
}

const LEAST: ReadonlySet<string> = new Set(['used', 'usedAway', 'success']);

function compared(bounds: Partial<FleetFigures>, figures: FleetFigures): Reading[] {
  return Object.entries(bounds).map(([name, bound]) => {
    const value = figures[name as keyof FleetFigures];
    const [sign, holds] = LEAST.has(name) ? ['≥', value >= bound] : ['≤', value <= bound];
    return { text: `${name} ${value.toPrecision(3)} (${sign} ${bound})`, holds };
  });
}
