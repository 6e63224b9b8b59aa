import { percentile } from '../../lib/stats.ts';
import { END_MS, type FleetRun, LIMIT, TROUBLE } from './run.ts';

/** From here on, the replicas know their store and each other. */
const STARTED_MS = 2_000;

/** Shares are from 0 to 1. */
export interface FleetFigures {
  /** The most calls that the provider got in any second of the run. */
  readonly most: number;
  /** Used share of the quota while the replicas use the store, and while they do not (0: they always do). */
  readonly used: number;
  readonly usedAway: number;
  /** Milliseconds from the end of the trouble until all replicas use the store; Infinity: never. */
  readonly backMs: number;
  /** Of all calls: those with a good reply, those with a 429 of the provider, and those that were refused before it. */
  readonly success: number;
  readonly limited: number;
  readonly refused: number;
  /** Time of the calls with a good reply, in milliseconds. */
  readonly p99Ms: number;
  /** Requests to the store per 1,000 calls at the provider, with the heartbeats of the replicas. */
  readonly requests: number;
}

export function fleetFigures(run: FleetRun): FleetFigures {
  const { calls, reached, requests } = run;
  const times = reached.map(({ atMs }) => atMs);
  const [there, away] = partsOf(run);
  const share = (failure: string) => calls.filter((call) => call.failure === failure).length / calls.length;
  const good = calls.filter(({ ok }) => ok);
  return {
    most: mostIn(times),
    used: usedIn(times, there),
    usedAway: usedIn(times, away),
    backMs: backAfter(run),
    success: good.length / calls.length,
    limited: share('status_429'),
    refused: share('quota'),
    p99Ms: percentile(
      good.map(({ ms }) => ms),
      0.99,
    ),
    requests: (1_000 * requests) / reached.length,
  };
}

type Part = readonly [fromMs: number, toMs: number];

/** The times with a store that is used, and those without. A second belongs to neither: shares change to leases. */
function partsOf(run: FleetRun): [there: Part[], away: Part[]] {
  const { fromMs, toMs } = TROUBLE;
  if (run.trouble === 'none' || run.trouble === 'kills' || run.trouble === 'flush')
    return [[[STARTED_MS, END_MS]], []];
  const back = toMs + backAfter(run) + SECOND_MS;
  return [
    [
      [STARTED_MS, fromMs],
      [back, END_MS],
    ],
    [[fromMs, toMs]],
  ];
}

function backAfter({ changes }: FleetRun): number {
  const states = new Map(changes.map(({ replica, used }) => [replica, used]));
  if (![...states.values()].every(Boolean)) return Number.POSITIVE_INFINITY;
  return Math.max(0, (changes.at(-1)?.atMs ?? 0) - TROUBLE.toMs);
}

const SECOND_MS = 1_000;

function mostIn(times: readonly number[]): number {
  let most = 0;
  let from = 0;
  for (const [i, at] of times.entries()) {
    while ((times[from] as number) <= at - SECOND_MS) from++;
    most = Math.max(most, i - from + 1);
  }
  return most;
}

function usedIn(times: readonly number[], parts: readonly Part[]): number {
  let [calls, ms] = [0, 0];
  for (const [from, to] of parts) {
    calls += times.filter((at) => at >= from && at < to).length;
    ms += to - from;
  }
  return ms === 0 ? 0 : calls / ((ms / SECOND_MS) * LIMIT);
}
