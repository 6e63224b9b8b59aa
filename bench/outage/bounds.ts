import type { SimulatedCall } from '../../src/simulate/client.ts';
import { phase } from '../../src/simulate/figures.ts';
import type { Run } from '../../src/simulate/simulate.ts';
import { percentile } from '../lib/stats.ts';
import type { Reading } from './gates.ts';

/** A run through Breakwater, and a run of the same clients and upstream without it. */
export interface Pair {
  readonly run: Run;
  readonly direct: Run;
}

/** A bound of a row. It must hold for each seed. */
export type Bound = (pair: Pair) => Reading;

/** A selection of calls, with its name in reports. */
export interface Some {
  readonly name: string;
  readonly has: (call: SimulatedCall, scenario: Run['scenario']) => boolean;
}

export const ALL: Some = { name: '', has: () => true };

export const at = (path: string): Some => ({ name: ` at ${path}`, has: (call) => call.path === path });

export const elsewhere = (path: string): Some => ({ name: ' elsewhere', has: (call) => call.path !== path });

/** Calls that arrive this many seconds after the end of the fault. */
export const after = (seconds: number): Some => ({
  name: ` in the ${seconds} s after`,
  has: ({ atMs }, { faultAtMs, faultMs }) => {
    const age = atMs - faultAtMs - faultMs;
    return age >= 0 && age < 1_000 * seconds;
  },
});

export const during: Some = {
  name: ' during',
  has: ({ atMs }, { faultAtMs, faultMs }) => atMs >= faultAtMs && atMs < faultAtMs + faultMs,
};

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

const inMs = (ms: number): string => (ms < 1_000 ? `${ms.toFixed(0)} ms` : `${(ms / 1_000).toFixed(1)} s`);

function successOf({ calls, scenario }: Run, { has }: Some): number {
  const chosen = calls.filter((call) => has(call, scenario));
  return chosen.length === 0 ? 1 : chosen.filter(({ ok }) => ok).length / chosen.length;
}

export function succeed(atLeast: number, some: Some = ALL): Bound {
  return ({ run }) => {
    const share = successOf(run, some);
    return { text: `success${some.name} ${percent(share)} (≥ ${percent(atLeast)})`, holds: share >= atLeast };
  };
}

/** `points`: percentage points. */
export function noWorseThanDirect(points: number, some: Some = ALL): Bound {
  return ({ run, direct }) => {
    const [ours, theirs] = [successOf(run, some), successOf(direct, some)];
    return {
      text: `success${some.name} ${percent(ours)} (direct ${percent(theirs)}, at most ${points} points below)`,
      holds: ours >= theirs - points / 100,
    };
  };
}

/** The added latency of calls that need one attempt and succeed in both runs. */
export function wait(atMostMs: number, some: Some = ALL, share = 1): Bound {
  return ({ run, direct }) => {
    const extra = run.calls.flatMap((call, i) => {
      const other = direct.calls[i] as SimulatedCall;
      const pair = call.ok && other.ok && call.attempts === 1 && other.attempts === 1;
      return pair && some.has(call, run.scenario) ? [call.ms - other.ms] : [];
    });
    const most = extra.length === 0 ? 0 : percentile(extra, share);
    const which = share === 1 ? 'longest' : `p${100 * share}`;
    return {
      text: `${which} wait${some.name} ${inMs(most)} (≤ ${inMs(atMostMs)})`,
      holds: most <= atMostMs,
    };
  };
}

/** Time from the end of the fault to the first good reply. */
export function back(withinMs: number): Bound {
  return ({ run: { calls, scenario } }) => {
    const over = scenario.faultAtMs + scenario.faultMs;
    const ends = calls.filter(({ ok }) => ok).map(({ atMs, ms }) => atMs + ms - over);
    const first = ends.reduce((least, ms) => (ms >= 0 && ms < least ? ms : least), Number.POSITIVE_INFINITY);
    return { text: `first 200 after ${inMs(first)} (≤ ${inMs(withinMs)})`, holds: first <= withinMs };
  };
}

/** Time from the start of the fault to the first call that the breaker refuses. */
export function opens(withinMs: number): Bound {
  return ({ run: { calls, scenario } }) => {
    const refused = calls.find(
      ({ atMs, failure }) => atMs >= scenario.faultAtMs && failure === 'breaker_open',
    );
    const ms = refused === undefined ? Number.POSITIVE_INFINITY : refused.atMs - scenario.faultAtMs;
    return { text: `breaker open after ${inMs(ms)} (≤ ${inMs(withinMs)})`, holds: ms <= withinMs };
  };
}

/** Attempts per request while the fault lasts. */
export function amplify(atMost: number): Bound {
  return ({ run }) => {
    const { faultAtMs, faultMs } = run.scenario;
    const factor = phase(run, faultAtMs, faultAtMs + faultMs).attemptsPerRequest;
    return { text: `AF ${factor.toFixed(2)} (≤ ${atMost})`, holds: factor <= atMost };
  };
}

/** Maximum number of attempts per minute of the fault, from `learningMs` after its start. */
export function perMinute(atMost: number, learningMs: number, path?: string): Bound {
  return ({ run: { reached, scenario } }) => {
    const from = scenario.faultAtMs + learningMs;
    const until = scenario.faultAtMs + scenario.faultMs;
    const times = reached
      .filter((one) => (path === undefined || one.path === path) && one.atMs >= from && one.atMs < until)
      .map(({ atMs }) => atMs);
    const most = Math.max(0, ...times.map((t) => times.filter((u) => u >= t && u < t + 60_000).length));
    return { text: `${most} attempts in a closed minute (≤ ${atMost})`, holds: most <= atMost };
  };
}

/** Maximum number of attempts of a call. */
export function attempts(atMost: number, some: Some = ALL): Bound {
  return ({ run: { calls, scenario } }) => {
    const most = calls.reduce((n, call) => (some.has(call, scenario) ? Math.max(n, call.attempts) : n), 0);
    return { text: `at most ${most} attempts${some.name} (≤ ${atMost})`, holds: most <= atMost };
  };
}

/** Time of the slowest failure. */
export function fail(withinMs: number, some: Some): Bound {
  return ({ run: { calls, scenario } }) => {
    const failed = calls.filter((call) => !call.ok && some.has(call, scenario));
    const most = failed.reduce((ms, call) => Math.max(ms, call.ms), 0);
    return { text: `failures end within ${inMs(most)} (≤ ${inMs(withinMs)})`, holds: most <= withinMs };
  };
}
