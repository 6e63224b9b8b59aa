import type { SimulatedCall } from '../../../src/simulate/client.ts';
import { type Figures, figuresOf } from '../../../src/simulate/figures.ts';
import type { Scenario } from '../../../src/simulate/scenario.ts';
import type { Run } from '../../../src/simulate/simulate.ts';
import { percentile } from '../../lib/stats.ts';
import type { Contender } from './contender.ts';
import { type Plan, type Situation, TROUBLED } from './plan.ts';
import type { Observed } from './stand.ts';

/** What one contender did in one scenario. */
export interface Result {
  readonly contender: string;
  readonly figures: Figures;
  /** Of the callers that came in the trigger, to their reply or to the deadline. */
  readonly p99Ms: number;
  /** Of a situation: its cell in the table. */
  readonly cell: string | undefined;
  readonly seconds: readonly Second[];
  readonly lagP99Ms: number;
  readonly lagMaxMs: number;
}

/** One second of a chart. */
interface Second {
  /** Share of the requests that arrived in it, 0 to 1; undefined without any. */
  readonly success: number | undefined;
  /** Attempts that reached the upstream in it. */
  readonly attempts: number;
}

/** Judged by the code that judges the simulation, so that the two cannot differ in what a figure means. */
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
    attempts: 0, // only the upstream knows, and it is asked
    failure: status === 200 ? undefined : `status_${status}`,
  }));
  // Real upstreams do not count what they turn away, and no figure asks for it.
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

/** What the judge needs beyond a moment to say that it was the recovery: six windows of five seconds. */
const CONFIRMATION_SECONDS = 10;

/**
 * Seconds until all was well; `> N`: not in the time that could be judged; `never`: what is left at the end is an overload
 * that the attempts themselves keep up, beyond the upstream's capacity.
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
