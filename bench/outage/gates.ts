import { type Figures, figuresOf } from '../../src/simulate/figures.ts';
import { type Fault, outageScenario, type Scenario } from '../../src/simulate/scenario.ts';
import type { Sidecar, Subject } from '../../src/simulate/sidecar.ts';
import { simulate } from '../../src/simulate/simulate.ts';

/** Bounds that hold for each seed alone. */
export interface Bounds {
  /** Maximum attempts per request during the fault. */
  readonly during?: number;
  /** Maximum attempts per request in the minute after the fault. */
  readonly after?: number;
  /** Maximum seconds to recovery. Infinity: any finite time. */
  readonly recovered?: number;
  /** Minimum success share of requests that arrive in the minute after the fault. */
  readonly successAfter?: number;
  /** Minimum rescued share. */
  readonly rescued?: number;
}

export interface Gate {
  readonly name: string;
  readonly fault: Fault;
  readonly changes: Partial<Scenario>;
  readonly bounds: Bounds;
}

/** Attempts for "the best possible" at a flaky upstream: those of the default, also in ablations. */
const ATTEMPTS = 3;

export const SEEDS: readonly number[] = [1, 2, 3];

const CAPACITY = 100;
const BROWNOUT: Fault = { kind: 'brownout' };
const OUTAGE: Fault = { kind: 'outage' };
const BLACKHOLE: Fault = { kind: 'blackhole' };
const EXHAUSTED: Fault = { kind: 'exhausted' };

/** A run of at least 260 s and about 2,000 calls, because the 52 calls at 0.2/s would prove little. */
function flaky(share: number, ratePerSecond: number, changes: Partial<Scenario> = {}): Gate {
  const faultMs = Math.max(260_000, 2_000_000 / ratePerSecond);
  return {
    name: `flaky ${share} at ${ratePerSecond}/s${changes.serviceMs === undefined ? '' : `, ${changes.serviceMs} ms`}`,
    fault: { kind: 'flaky', share },
    changes: { ratePerSecond, faultAtMs: 0, faultMs, endMs: faultMs, ...changes },
    bounds: { rescued: 0.95 },
  };
}

function recovers(fault: Fault, load: number): Gate {
  return {
    name: `${fault.kind} at ${load} of capacity ends`,
    fault,
    changes: { ratePerSecond: load * CAPACITY },
    bounds: { recovered: Number.POSITIVE_INFINITY },
  };
}

/** One request per second each. The run ends with the fault, because no bound is about the time after it. */
function manySidecars(fault: Fault): Gate {
  return {
    name: `80 sidecars, ${fault.kind}`,
    fault,
    changes: { callers: 80, endMs: 80_000 },
    bounds: { during: 1.6 },
  };
}

/** The gates of RPB-1. */
export const GATES: readonly Gate[] = [
  {
    name: 'brownout',
    fault: BROWNOUT,
    changes: {},
    bounds: { during: 1.1, after: 1.1, recovered: 5, successAfter: 0.95 },
  },
  { name: 'outage', fault: OUTAGE, changes: {}, bounds: { during: 0.5, successAfter: 0.95 } },
  { name: 'blackhole', fault: BLACKHOLE, changes: {}, bounds: { during: 0.5, successAfter: 0.95 } },
  ...[BROWNOUT, OUTAGE, BLACKHOLE].flatMap((fault) => [0.5, 0.9].map((load) => recovers(fault, load))),
  ...[0.05, 0.1, 0.3].flatMap((share) => [0.2, 1, 20].map((rate) => flaky(share, rate))),
  // RPB-1 names no fault. The last one is the hardest, because no breaker counts a 429.
  ...[BROWNOUT, OUTAGE, BLACKHOLE, EXHAUSTED].map(manySidecars),
];

/** Two more gates, because in those of RPB-1, two rules can replace each other. */
export const EXTRA_GATES: readonly Gate[] = [
  {
    name: 'exhausted',
    fault: EXHAUSTED,
    changes: {},
    bounds: { during: 1.1, after: 1.1, successAfter: 0.95 },
  },
  flaky(0.3, 60, { serviceMs: 250, faultMs: 120_000, endMs: 120_000 }),
  // Half of the attempts fail, the most that a budget of one retry per success allows.
  { ...flaky(0.5, 20), bounds: { rescued: 0.9 } },
];

/** Gates that must hold at plain defaults too, without the attempt timeout of one second. */
export const PLAIN_GATES: readonly Gate[] = [
  ...[...GATES, ...EXTRA_GATES].filter(({ fault }) => fault.kind !== 'flaky'),
  { ...flaky(0.5, 20), bounds: { rescued: 0.9 } },
];

/** Random failures of streams, for as long as those of `flaky`. */
function randomly(kind: 'stall' | 'error-event', share: number, ratePerSecond: number): Gate {
  const { changes, bounds } = flaky(share, ratePerSecond);
  return { name: `${kind} ${share} at ${ratePerSecond}/s`, fault: { kind, share }, changes, bounds };
}

/**
 * The gates of routes with `stream`. Heads come at once; the first event takes the time that a reply takes elsewhere. Streams that all
 * stall, or all begin with an error, are an outage.
 */
export const STREAM_GATES: readonly Gate[] = [
  {
    name: 'streams brownout',
    fault: BROWNOUT,
    changes: { streams: true },
    bounds: { during: 1.1, after: 1.1, recovered: 5, successAfter: 0.95 },
  },
  ...(['stall', 'error-event'] as const).map((kind) => ({
    name: `${kind} of every stream`,
    fault: { kind, share: 1 },
    changes: {},
    bounds: { during: 0.5, successAfter: 0.95 },
  })),
  ...[0.1, 0.3].flatMap((share) => [0.2, 1, 20].map((rate) => randomly('stall', share, rate))),
  randomly('stall', 0.3, 60),
  randomly('error-event', 0.3, 20),
];

export async function measure(
  subject: Subject,
  { fault, changes }: Pick<Gate, 'fault' | 'changes'>,
  seed: number,
  onSidecar?: (sidecar: Sidecar) => void,
): Promise<Figures> {
  const run = await simulate(
    subject,
    outageScenario(fault, { ...changes, seed }),
    onSidecar && { onSidecar },
  );
  return figuresOf(run, ATTEMPTS);
}

/** One bound, the measured value, and whether the bound holds. */
export interface Reading {
  readonly text: string;
  readonly holds: boolean;
}

/** Compares every bound of the gate with the figures. */
export function readings(
  { during, after, recovered, successAfter, rescued }: Bounds,
  figures: Figures,
): Reading[] {
  const all: Reading[] = [];
  const add = (text: string, holds: boolean) => all.push({ text, holds });
  const factor = (value: number) => value.toFixed(2);
  const share = (value: number) => `${(100 * value).toFixed(1)} %`;
  if (during !== undefined) {
    const value = figures.during.attemptsPerRequest;
    add(`AF ${factor(value)} (≤ ${during})`, value <= during);
  }
  if (after !== undefined) {
    const value = figures.after.attemptsPerRequest;
    add(`AF after ${factor(value)} (≤ ${after})`, value <= after);
  }
  if (recovered !== undefined) {
    const value = figures.recoveredAfterSeconds;
    const limit = Number.isFinite(recovered) ? `≤ ${recovered} s` : 'not never';
    add(
      `TTR ${value === undefined ? 'never' : `${value} s`} (${limit})`,
      value !== undefined && value <= recovered,
    );
  }
  if (successAfter !== undefined) {
    const value = figures.after.success;
    add(`success after ${share(value)} (≥ ${share(successAfter)})`, value >= successAfter);
  }
  if (rescued !== undefined) {
    const value = figures.rescued ?? 0;
    add(`rescued ${share(value)} (≥ ${share(rescued)})`, value >= rescued);
  }
  return all;
}
