import type { Evidence } from '../../src/policies/concurrency/limit.ts';
import type { Sidecar } from '../../src/simulate/sidecar.ts';

/** The default policy with one rule switched off. */
export interface Ablation {
  readonly name: string;
  /** Lines of config.yaml below `defaults:`. */
  readonly config?: string;
  /** A change of the running policies, if no configuration switches the rule off. */
  readonly tamper?: (sidecar: Sidecar) => void;
}

/** An ablation that a test checks against its gate. */
export interface NecessaryRule extends Ablation {
  /** The gate that must break without it, for every seed. */
  readonly breaks: string;
}

/** Off, because the cooldown of the quota also stops retries after 429s, and would hide a missing budget. */
const NO_QUOTA = 'quota: off';

/** The six rules of the default policy. */
export const ABLATIONS: readonly NecessaryRule[] = [
  {
    name: 'budget funded by requests, not by successes',
    config: NO_QUOTA,
    tamper: fundByRequest,
    breaks: 'exhausted',
  },
  {
    name: 'cap 100, not 10',
    config: `retry: { budget: { cap: 100 } }\n${NO_QUOTA}`,
    breaks: '80 sidecars, exhausted',
  },
  {
    name: 'fixed 60 s before a probe, not proportional',
    config: 'breaker: { wait: { ratio: 0, min: 60s, max: 60s } }',
    breaks: 'outage',
  },
  {
    name: 'limit falls on every failure, not on timeouts only',
    tamper: fallOnEveryFailure,
    breaks: 'flaky 0.3 at 60/s, 250 ms',
  },
  { name: 'ratio 0.5, not 1', config: 'retry: { budget: { ratio: 0.5 } }', breaks: 'flaky 0.5 at 20/s' },
  {
    name: 'breaker at 50 %, not 80 %',
    config: 'breaker: { failure_rate: 50% }',
    breaks: 'flaky 0.5 at 20/s',
  },
];

/** Other rules that are on by default. */
export const MORE_ABLATIONS: readonly Ablation[] = [
  { name: 'no breaker', config: 'breaker: off' },
  { name: 'no limit', config: 'concurrency: off' },
  { name: 'neither breaker nor limit', config: 'breaker: off\nconcurrency: off' },
  { name: 'no budget', config: 'retry: { budget: { cap: 1000000, refill: 1000/s } }' },
  { name: 'no retry', config: 'retry: off' },
  { name: 'wait 0.1 of the age, not 0.05', config: 'breaker: { wait: { ratio: 0.1 } }' },
  { name: 'no rule of 10 failures in a row', config: 'breaker: { consecutive_failures: 1000000 }' },
  { name: 'breaker after 5 requests, not 20', config: 'breaker: { min_requests: 5 }' },
  { name: 'no refill', config: 'retry: { budget: { refill: 0/s } }' },
  { name: 'no wait for a permit', config: 'concurrency: { wait: 0s }' },
  { name: 'no jitter', config: 'retry: { backoff: { jitter: none } }' },
];

/** The budget of Finagle's RetryBudget and its ports: each request adds tokens, whatever its result. */
function fundByRequest(sidecar: Sidecar): void {
  const { budget } = sidecar.scopes[0]!;
  const deposit = budget!.deposit.bind(budget);
  budget!.deposit = () => {};
  const { send } = sidecar;
  sidecar.send = (call, attempt) => {
    deposit();
    return send(call, attempt);
  };
}

/** A limit that follows the error rate. */
function fallOnEveryFailure({ scopes }: Sidecar): void {
  const { limit } = scopes[0]!.limiter!;
  const release = limit.release.bind(limit);
  limit.release = (evidence: Evidence, latencyMs, now) =>
    release(evidence === 'failure' ? 'overload' : evidence, latencyMs, now);
}
