import type { TargetConfig } from '../config/config.ts';
import type { Fault, Scenario } from './scenario.ts';
import type { Run } from './simulate.ts';
import { AFTER_MS } from './figures.ts';

const NO_FAULT: Fault = { kind: 'own' };

/** Faults of a credential. All others are of a host, and so of all its targets. */
const OF_CREDENTIALS: ReadonlySet<Fault['kind']> = new Set(['rate-limited', 'exhausted']);

/** The targets that fail if `failing` has the fault. */
function concernedBy(fault: Fault, failing: TargetConfig, targets: readonly TargetConfig[]): TargetConfig[] {
  return OF_CREDENTIALS.has(fault.kind)
    ? [failing]
    : targets.filter(({ origin }) => origin === failing.origin);
}

/**
 * The scenario in which each of `targets` is simulated, with the capacity of the scenario. `failing`: the target that has the fault,
 * or whose host has it; undefined: all have it.
 */
export function withTargets(
  scenario: Scenario,
  targets: readonly TargetConfig[],
  failing: TargetConfig | undefined,
): Scenario {
  const faulty = failing === undefined ? targets : concernedBy(scenario.fault, failing, targets);
  const well = targets.filter((one) => !faulty.includes(one));
  return { ...scenario, targets: Object.fromEntries(well.map(({ name }) => [name, NO_FAULT])) };
}

/** One target in a run. */
export interface TargetShare {
  readonly name: string;
  /** It has a fault of the scenario. */
  readonly faulty: boolean;
  /** Its share of the attempts, 0 to 1: during the fault, and in the minute after it. */
  readonly during: number;
  readonly after: number;
}

/** The shares of the targets; undefined if they were not simulated. */
export function sharesOf(run: Run, targets: readonly TargetConfig[] = []): TargetShare[] | undefined {
  const { faultAtMs, faultMs, targets: faults } = run.scenario;
  if (faults === undefined) return undefined;
  const over = faultAtMs + faultMs;
  return targets.map(({ name }) => ({
    name,
    faulty: faults[name] === undefined,
    during: shareOf(run, name, [faultAtMs, over]),
    after: shareOf(run, name, [over, over + AFTER_MS]),
  }));
}

/** The share of a target in the attempts of a time; 0 without attempts. */
function shareOf({ reached }: Run, name: string, [fromMs, toMs]: readonly [number, number]): number {
  const attempts = reached.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  return attempts.length === 0
    ? 0
    : attempts.filter(({ target }) => target === name).length / attempts.length;
}
