import type { SimulatedCall } from './client.ts';
import type { Run } from './simulate.ts';
import { isUnlucky } from './fault-schedule.ts';
import { isRandom } from './scenario.ts';

/** Counts of the calls that arrived in one period, and of the attempts at the upstream in it. */
export interface Phase {
  readonly requests: number;
  readonly successes: number;
  /** Attempts that reached the upstream in this time. */
  readonly attempts: number;
  /** Share of the requests that succeeded, 0 to 1; 1 without requests. */
  readonly success: number;
  /** The amplification factor; 0 without requests. */
  readonly attemptsPerRequest: number;
}

export interface Figures {
  readonly before: Phase;
  readonly during: Phase;
  /** The minute after the fault. */
  readonly after: Phase;
  readonly whole: Phase;
  /** Seconds from the end of the fault to the recovery; undefined: never. */
  readonly recoveredAfterSeconds: number | undefined;
  /** Share of the upstream's work whose client no longer waited. */
  readonly wasted: number;
  /** Only for a fault of random attempts, without targets: of the requests that retries could have saved, the share that they saved, minus other losses. */
  readonly rescued: number | undefined;
}

export const AFTER_MS = 60_000;
/** Recovered: this many consecutive seconds, each of which begins a window with this rate of success. */
const RECOVERED = { seconds: 6, windowSeconds: 5, success: 0.95 };

/** The figures of RPB-1. `attempts`: the highest number of attempts of a call, for the best possible result. */
export function figuresOf(run: Run, attempts: number): Figures {
  const { faultAtMs, faultMs, endMs } = run.scenario;
  const faultEndMs = faultAtMs + faultMs;
  return {
    before: phase(run, 0, faultAtMs),
    during: phase(run, faultAtMs, faultEndMs),
    after: phase(run, faultEndMs, faultEndMs + AFTER_MS),
    whole: phase(run, 0, endMs),
    recoveredAfterSeconds: recoveredAfterSeconds(run, faultEndMs),
    wasted: run.served === 0 ? 0 : run.wasted / run.served,
    rescued: rescuedShare(run, attempts),
  };
}

/** Counts over [`fromMs`, `toMs`): requests by their arrival, attempts by theirs. */
export function phase({ calls, reached }: Run, fromMs: number, toMs: number): Phase {
  const arrived = calls.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  const requests = arrived.length;
  const successes = arrived.filter(({ ok }) => ok).length;
  const attempts = reached.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).length;
  return {
    requests,
    successes,
    attempts,
    success: requests === 0 ? 1 : successes / requests,
    attemptsPerRequest: requests === 0 ? 0 : attempts / requests,
  };
}

/** The windows look ahead: a system that succeeds as soon as the fault ends has recovered after 0 s. */
function recoveredAfterSeconds(run: Run, faultEndMs: number): number | undefined {
  const { seconds, windowSeconds } = RECOVERED;
  const counts = perSecond(run, faultEndMs);
  let well = 0;
  for (let second = 0; second + windowSeconds <= counts.length; second++) {
    well = isWell(counts.slice(second, second + windowSeconds)) ? well + 1 : 0;
    if (well === seconds) return second - seconds + 1;
  }
  return undefined;
}

function isWell(window: readonly SecondCount[]): boolean {
  const requests = window.reduce((sum, { requests: n }) => sum + n, 0);
  const successes = window.reduce((sum, { successes: n }) => sum + n, 0);
  return successes >= RECOVERED.success * requests;
}

interface SecondCount {
  requests: number;
  successes: number;
}

/** Whole seconds from `fromMs` to the end of the load. */
function perSecond({ calls, scenario }: Run, fromMs: number): SecondCount[] {
  const length = Math.floor((scenario.endMs - fromMs) / 1_000);
  const counts = Array.from({ length }, () => ({ requests: 0, successes: 0 }));
  for (const { atMs, ok } of calls) {
    const count = counts[Math.floor((atMs - fromMs) / 1_000)];
    if (count === undefined) continue;
    count.requests++;
    if (ok) count.successes++;
  }
  return counts;
}

/**
 * (success − success without retries) / (best possible − success without retries). Both ends are counted, not estimated:
 * which attempts of which call fail is fixed by the seed.
 */
function rescuedShare({ scenario, calls }: Run, attempts: number): number | undefined {
  const { fault, faultAtMs, faultMs, targets } = scenario;
  if (!isRandom(fault) || targets !== undefined) return undefined;
  const during = calls.filter(({ atMs }) => atMs >= faultAtMs && atMs < faultAtMs + faultMs);
  const unlucky = (call: SimulatedCall, n: number) =>
    isUnlucky(scenario.seed, fault.share, { target: call.target, attempt: n });
  const withoutRetries = during.filter((call) => !unlucky(call, 1)).length;
  const atBest = during.filter((call) =>
    Array.from({ length: attempts }).some((_, i) => !unlucky(call, i + 1)),
  ).length;
  const successes = during.filter(({ ok }) => ok).length;
  // A hedge can add an attempt, so more calls may succeed than the retries alone could save.
  const possible = Math.max(atBest, successes) - withoutRetries;
  return possible === 0 ? 1 : (successes - withoutRetries) / possible;
}
