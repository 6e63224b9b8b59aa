import { type Fault, outageScenario, type Scenario } from '../../../src/simulate/scenario.ts';
import type { Subject } from '../../../src/simulate/sidecar.ts';
import { simulate } from '../../../src/simulate/simulate.ts';
import { plainSubject } from '../default-policy.ts';
import type { Reading } from '../gates.ts';
import { FAULTY, type TargetFigures, targetFigures } from './figures.ts';

/** One target has a fault, the others have none. */
export interface TargetGate {
  readonly name: string;
  readonly targets: readonly string[];
  /** They are keys of one host. Default: each is a host of its own. */
  readonly sameHost?: boolean;
  readonly fault: Fault;
  readonly ratePerSecond: number;
  /** No timeout is written. Default: those of RPB-1 are. */
  readonly plain?: boolean;
  /** Each must hold for each seed. A success share, and `shareAfter`, is the least; everything else is the most. */
  readonly bounds: TargetFigures;
}

const HOSTS = { targets: [FAULTY, 'b'], ratePerSecond: 80 };
const KEYS = { targets: [FAULTY, 'b', 'c'], sameHost: true };
const TIMES = { faultAtMs: 20_000, faultMs: 20_000, endMs: 100_000 };

/** The attempt timeout of RPB-1. */
export const ATTEMPT_MS = 1_000;

/** Whatever the fault is, the other targets carry the load, no 429 reaches a client, and the target gets its share again. */
const ALWAYS = { success: 0.999, successAfter: 0.999, limited: 0 };

export const TARGET_GATES: readonly TargetGate[] = [
  {
    ...HOSTS,
    name: 'one of two hosts answers 503',
    fault: { kind: 'outage' },
    // With a backoff before the next target it would be 790 ms.
    bounds: { ...ALWAYS, attempts: 1.1, share: 0.05, shareAfter: 0.45, p99Ms: 650 },
  },
  {
    ...HOSTS,
    name: 'one of two hosts does not answer',
    fault: { kind: 'blackhole' },
    bounds: { ...ALWAYS, attempts: 1.1, share: 0.05, shareAfter: 0.45, p99Ms: 1_500 },
  },
  {
    ...HOSTS,
    name: 'one of two hosts is ten times slower',
    fault: { kind: 'brownout' },
    bounds: { ...ALWAYS, attempts: 1.1, share: 0.15, shareAfter: 0.45, p99Ms: 1_500 },
  },
  {
    // No timeout tells that the host is slow, so only the choice of targets keeps calls from it.
    ...HOSTS,
    plain: true,
    name: 'the same, without any timeout written',
    fault: { kind: 'brownout' },
    bounds: { ...ALWAYS, attempts: 1.1, share: 0.15, shareAfter: 0.45, p99Ms: 4_000 },
  },
  {
    // An even share is 60 a second, and the limit is 50.
    ...KEYS,
    ratePerSecond: 180,
    name: 'one of three keys may make fewer calls than its share',
    fault: { kind: 'rate-limited' },
    bounds: { ...ALWAYS, attempts: 1.03, share: 0.28, shareAfter: 0.3, p99Ms: 1_000 },
  },
  {
    ...KEYS,
    ratePerSecond: 120,
    name: 'one of three keys gets 429 only',
    fault: { kind: 'exhausted' },
    bounds: { ...ALWAYS, attempts: 1.03, share: 0.02, shareAfter: 0.3, p99Ms: 1_000 },
  },
];

/** The shipped defaults. */
export function targetSubject({ plain = false, targets, sameHost = false }: TargetGate): Subject {
  const list = targets.map((name) => {
    const url = `https://${sameHost ? 'rpb' : name}.example`;
    return `{ name: ${name}, url: "${url}", headers: { set: { authorization: "key ${name}" } } }`;
  });
  return plainSubject({
    defaults: plain ? '' : `timeouts: { attempt: ${ATTEMPT_MS}ms, total: 8s }`,
    targets: `[${list.join(', ')}]`,
  });
}

/** Each host has the capacity of RPB-1, so one of two can carry the whole load. */
export function targetScenario({ fault, ratePerSecond }: TargetGate, seed: number): Scenario {
  return outageScenario({ kind: 'own' }, { ...TIMES, ratePerSecond, targets: { [FAULTY]: fault }, seed });
}

export async function targetReadings(gate: TargetGate, seed: number): Promise<Reading[]> {
  const run = await simulate(targetSubject(gate), targetScenario(gate, seed));
  return compared(gate.bounds, targetFigures(run));
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const factor = (value: number): string => value.toFixed(2);
const inMs = (ms: number): string => `${ms.toFixed(0)} ms`;

function compared(bounds: TargetFigures, figures: TargetFigures): Reading[] {
  const least = (text: string, key: keyof TargetFigures) => ({
    text: `${text} ${percent(figures[key])} (≥ ${percent(bounds[key])})`,
    holds: figures[key] >= bounds[key],
  });
  const most = (text: string, key: keyof TargetFigures, shown: (value: number) => string) => ({
    text: `${text} ${shown(figures[key])} (≤ ${shown(bounds[key])})`,
    holds: figures[key] <= bounds[key],
  });
  return [
    least('success', 'success'),
    least('after', 'successAfter'),
    most('AF', 'attempts', factor),
    most('share', 'share', percent),
    least('share after', 'shareAfter'),
    most('p99', 'p99Ms', inMs),
    most('429', 'limited', String),
  ];
}
