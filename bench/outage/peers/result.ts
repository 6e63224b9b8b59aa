import type { SimulatedCall } from '../../../src/simulate/client.ts';
import { type Figures, figuresOf } from '../../../src/simulate/figures.ts';
import type { Scenario } from '../../../src/simulate/scenario.ts';
import type { Run } from '../../../src/simulate/simulate.ts';
import { percentile } from '../../lib/stats.ts';
import { type TargetFigures, targetFigures } from '../targets/figures.ts';
import type { Contender } from './contender.ts';
import { type Plan, type Situation, TROUBLED } from './plan.ts';
import type { Observed } from './stand.ts';

/** The result of one contender in one scenario. */
export interface Result {
  readonly contender: string;
  readonly figures: Figures;
  /** For calls that arrived in the trigger: time to the reply or the deadline. */
  readonly p99Ms: number;
  /** For a situation: its table cell. */
  readonly cell: string | undefined;
  /** Undefined if the upstream is one host. */
  readonly targets: TargetFigures | undefined;
  readonly seconds: readonly Second[];
  readonly lagP99Ms: number;
  readonly lagMaxMs: number;
}

/** One second of a chart. */
interface Second {
  /** Success share of the requests that arrived in this second, 0 to 1; undefined if there were none. */
  readonly success: number | undefined;
  /** Attempts that reached the upstream in this second. */
  readonly attempts: number;
}

/** Uses the code that evaluates the simulation, so that each figure has the same meaning in both. */
export function resultOf(
  { scenario, situation }: Plan,
  contender: Contender,
  { load, upstream }: Observed,
): Result {
  const calls: SimulatedCall[] = load.calls.map(({ target, path, atMs, ms, status }) => ({
    target,
    path,
    atMs,
    ms,
    ok: status === 200,
    tries: 1,
    attempts: 0, // counted by the upstream
    failure: status === 200 ? undefined : `status_${status}`,
  }));
  // Real upstreams do not count rejected requests, and no figure needs them.
  const run: Run = { scenario, calls, shed: 0, ...upstream };
  const { faultAtMs, faultMs } = scenario;
  const during = calls.filter(({ atMs }) => atMs >= faultAtMs && atMs < faultAtMs + faultMs);
  return {
    contender: contender.name,
    figures: figuresOf(run, contender.attempts),
    p99Ms: percentile(
      during.map(({ ms }) => ms),
      0.99,
    ),
    cell: situation && cellOf(situation, run),
    targets: scenario.targets && targetFigures(run),
    seconds: secondsOf(run),
    lagP99Ms: load.lagP99Ms,
    lagMaxMs: load.lagMaxMs,
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

const shareOf = (calls: readonly SimulatedCall[]): number =>
  calls.filter(({ ok }) => ok).length / calls.length;

function cellOf({ shows }: Situation, { calls, scenario }: Run): string {
  const over = scenario.faultAtMs + scenario.faultMs;
  switch (shows) {
    case 'success':
      return percent(shareOf(calls));
    case 'elsewhere':
      return percent(shareOf(calls.filter(({ path }) => path !== TROUBLED)));
    case 'return': {
      const ends = calls.filter(({ ok }) => ok).map(({ atMs, ms }) => atMs + ms - over);
      const first = Math.min(...ends.filter((ms) => ms >= 0));
      return `${(first / 1_000).toFixed(1)} s, ${percent(shareOf(calls.filter(({ atMs }) => atMs >= over)))}`;
    }
    case 'slowest': {
      const slowest = Math.max(...calls.filter(({ ok }) => ok).map(({ ms }) => ms));
      return `${percent(shareOf(calls))}, ${(slowest / 1_000).toFixed(1)} s`;
    }
  }
}

/** Time after a moment that is needed to confirm it as the recovery: six windows of five seconds. */
const CONFIRMATION_SECONDS = 10;

/**
 * Seconds until the recovery. `> N`: none in the measured time. `never`: at the end, the attempts themselves sustain an
 * overload beyond the upstream's capacity.
 */
export function timeToRecover(
  scenario: Scenario,
  { figures, seconds }: Pick<Result, 'figures' | 'seconds'>,
): string {
  if (figures.recoveredAfterSeconds !== undefined) return String(figures.recoveredAfterSeconds);
  const last = seconds.slice(-CONFIRMATION_SECONDS);
  const attempts = last.reduce((sum, one) => sum + one.attempts, 0);
  if (attempts > last.length * scenario.capacityPerSecond) return 'never';
  return `> ${(scenario.endMs - scenario.faultAtMs - scenario.faultMs) / 1_000 - CONFIRMATION_SECONDS}`;
}

function secondsOf({ scenario, calls, reached }: Run): Second[] {
  return Array.from({ length: Math.round(scenario.endMs / 1_000) }, (_, second) => {
    const within = (at: number) => Math.floor(at / 1_000) === second;
    const arrived = calls.filter(({ atMs }) => within(atMs));
    const good = arrived.filter(({ ok }) => ok).length;
    return {
      success: arrived.length === 0 ? undefined : good / arrived.length,
      attempts: reached.filter(({ atMs }) => within(atMs)).length,
    };
  });
}
