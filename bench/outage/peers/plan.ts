import type { Effect } from '../../../src/simulate/effect.ts';
import { outageScenario, type Scenario } from '../../../src/simulate/scenario.ts';
import { FAULTY } from '../targets/figures.ts';
import { DEADLINE_MS } from './contender.ts';

export interface Plan {
  readonly name: string;
  readonly scenario: Scenario;
  /** Whether it is a situation of RPB-2. They share one table. */
  readonly situation?: Situation;
}

/** The figures in its table cell. */
export interface Situation {
  readonly title: string;
  readonly shows: 'success' | 'elsewhere' | 'return' | 'slowest';
}

interface Times {
  readonly beforeMs: number;
  readonly triggerMs: number;
  /** Long enough to distinguish no recovery from a full queue, which takes 20 s to serve. */
  readonly afterMs: number;
  readonly flakyMs: number;
}

const FULL: Times = { beforeMs: 5_000, triggerMs: 10_000, afterMs: 40_000, flakyMs: 40_000 };
const QUICK: Times = { beforeMs: 3_000, triggerMs: 6_000, afterMs: 14_000, flakyMs: 14_000 };
const WARM_UP_MS = 8_000;
const FLAKY_RATE = 20;
const FLAKY_SHARE = 0.3;

/** A warm-up without faults, in which all processes compile and connect. Not reported. */
export function warmUp(seed: number): Plan {
  const endMs = WARM_UP_MS;
  return {
    name: 'warm-up',
    scenario: outageScenario({ kind: 'outage' }, { faultAtMs: endMs, faultMs: 0, endMs, seed }),
  };
}

/**
 * The scenarios of RPB-1 with shorter times: 80 requests per second for an upstream with a capacity of 100; flaky: 20. The
 * flaky one begins calm too. Otherwise, the first ten requests could open a breaker with an empty window for the whole run.
 */
export function plans(quick: boolean, seed: number, trigger?: number): Plan[] {
  const { beforeMs, afterMs, flakyMs, ...usual } = quick ? QUICK : FULL;
  const triggerMs = trigger ?? usual.triggerMs;
  const times = { faultAtMs: beforeMs, faultMs: triggerMs, endMs: beforeMs + triggerMs + afterMs, seed };
  // The fault outlasts the load, so that late retries meet it too.
  const always = {
    ...times,
    faultMs: flakyMs + DEADLINE_MS,
    endMs: beforeMs + flakyMs,
    ratePerSecond: FLAKY_RATE,
  };
  return [
    { name: 'brownout', scenario: outageScenario({ kind: 'brownout' }, times) },
    { name: 'outage', scenario: outageScenario({ kind: 'outage' }, times) },
    { name: 'blackhole', scenario: outageScenario({ kind: 'blackhole' }, times) },
    { name: 'flaky', scenario: outageScenario({ kind: 'flaky', share: FLAKY_SHARE }, always) },
  ];
}

/** One of two hosts has the fault. Each host has the capacity of RPB-1, so the other one can carry the whole load. */
export function targetPlans(quick: boolean, seed: number): Plan[] {
  const [calmMs, faultMs, afterMs] = quick ? [3_000, 10_000, 10_000] : [5_000, 20_000, 40_000];
  const times = { faultAtMs: calmMs, faultMs, endMs: calmMs + faultMs + afterMs, seed };
  const plan = (name: string, kind: 'outage' | 'blackhole' | 'brownout'): Plan => ({
    name,
    scenario: outageScenario({ kind: 'own' }, { ...times, targets: { [FAULTY]: { kind } } }),
  });
  return [
    plan('one of two hosts answers 503', 'outage'),
    plan('one of two hosts does not answer', 'blackhole'),
    plan('one of two hosts is ten times slower', 'brownout'),
  ];
}

/** Troubles of RPB-2 that apply to every contender: GETs only, and no reply slower than the attempt timeout. */
export function situations(quick: boolean, seed: number): Plan[] {
  const seconds = quick ? 10 : 30;
  const plan = (name: string, situation: Situation, changes: Partial<Scenario>): Plan => ({
    name,
    situation,
    scenario: outageScenario({ kind: 'own' }, { ...during(1_000 * seconds), seed, ...changes }),
  });
  return [
    plan(
      'one-503',
      { title: 'one 503, Retry-After 3600: success of other paths', shows: 'elsewhere' },
      {
        endpoints: [
          { path: TROUBLED, troubles: [{ does: asks('3600'), most: 1 }] },
          { path: '/orders/{n}', weight: 9, troubles: [] },
        ],
      },
    ),
    plan(
      'few-503',
      { title: '2 % random 503, Retry-After 60: success', shows: 'success' },
      { endpoints: [{ path: '/orders/{n}', troubles: [{ does: asks('60'), share: 0.02 }] }] },
    ),
    plan(
      'half',
      { title: '50 % random 503: success', shows: 'success' },
      {
        endpoints: [
          { path: '/orders/{n}', troubles: [{ does: { kind: 'answers', status: 503 }, share: 0.5 }] },
        ],
      },
    ),
    plan(
      'hang',
      { title: `hangs for ${quick ? 4 : 10} s: first 200 after its end, success after`, shows: 'return' },
      {
        ratePerSecond: 40,
        ...(quick ? { faultMs: 4_000, endMs: 17_000 } : { faultMs: 10_000, endMs: 35_000 }),
        endpoints: [{ path: '/orders/{n}', troubles: [{ does: { kind: 'hangs' } }] }],
      },
    ),
    plan(
      'burst',
      { title: '300 at once, 500 ms each: success, slowest', shows: 'slowest' },
      {
        ratePerSecond: 5,
        bursts: [{ atMs: 5_000, calls: 300 }],
        faultMs: 0,
        endMs: 8_000,
        serviceMs: 500,
        capacityPerSecond: 1_000,
        endpoints: [{ path: '/orders/{n}', service: { mix: [{ share: 1, ms: 500 }] }, troubles: [] }],
      },
    ),
  ];
}

/** The affected path in situations with one affected path. */
export const TROUBLED = '/reports/big';

const asks = (seconds: string): Effect => ({
  kind: 'answers',
  status: 503,
  headers: ['Retry-After', seconds],
});

const during = (ms: number) => ({
  faultAtMs: 3_000,
  faultMs: ms + DEADLINE_MS,
  endMs: 3_000 + ms,
  ratePerSecond: FLAKY_RATE,
});
