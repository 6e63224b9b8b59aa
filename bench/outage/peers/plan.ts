import { DEADLINE_MS } from './contender.ts';
import { outageScenario, type Scenario } from '../../../src/simulate/scenario.ts';

export interface Plan {
  readonly name: string;
  readonly scenario: Scenario;
}

interface Times {
  readonly beforeMs: number;
  readonly triggerMs: number;
  /** Long enough to tell what never recovers from what has a full queue to work off, which takes 20 s. */
  readonly afterMs: number;
  readonly flakyMs: number;
}

const FULL: Times = { beforeMs: 5_000, triggerMs: 10_000, afterMs: 40_000, flakyMs: 40_000 };
const QUICK: Times = { beforeMs: 3_000, triggerMs: 6_000, afterMs: 14_000, flakyMs: 14_000 };
const WARM_UP_MS = 8_000;
const FLAKY_RATE = 20;
const FLAKY_SHARE = 0.3;

/** Nothing happens in it: for all processes to be compiled and connected before something does. Not reported. */
export function warmUp(seed: number): Plan {
  const endMs = WARM_UP_MS;
  return {
    name: 'warm-up',
    scenario: outageScenario({ kind: 'outage' }, { faultAtMs: endMs, faultMs: 0, endMs, seed }),
  };
}

/**
 * RPB-1's scenarios with shorter times: 80 requests per second at an upstream that can do 100; flaky, 20. The flaky one has
 * its calm beginning too, or the first ten requests would decide what a breaker with an empty window does for the whole run.
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
