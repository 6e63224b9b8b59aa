import { outageScenario, type Scenario } from '../../../src/simulate/scenario.ts';

export interface Plan {
  readonly name: string;
  readonly scenario: Scenario;
}

interface Times {
  readonly beforeMs: number;
  readonly triggerMs: number;
  readonly afterMs: number;
}

const FULL: Times = { beforeMs: 5_000, triggerMs: 10_000, afterMs: 30_000 };
const QUICK: Times = { beforeMs: 3_000, triggerMs: 6_000, afterMs: 14_000 };
const FLAKY_RATE = 20;
const FLAKY_SHARE = 0.3;

/** RPB-1's scenarios with shorter times: 80 requests per second at an upstream that can do 100; flaky, 20. */
export function plans(quick: boolean, seed: number): Plan[] {
  const { beforeMs, triggerMs, afterMs } = quick ? QUICK : FULL;
  const endMs = beforeMs + triggerMs + afterMs;
  const times = { faultAtMs: beforeMs, faultMs: triggerMs, endMs, seed };
  const always = { faultAtMs: 0, faultMs: endMs, endMs, seed, ratePerSecond: FLAKY_RATE };
  return [
    { name: 'brownout', scenario: outageScenario({ kind: 'brownout' }, times) },
    { name: 'outage', scenario: outageScenario({ kind: 'outage' }, times) },
    { name: 'blackhole', scenario: outageScenario({ kind: 'blackhole' }, times) },
    { name: 'flaky', scenario: outageScenario({ kind: 'flaky', share: FLAKY_SHARE }, always) },
  ];
}
