import type { Effect, Limits, Trouble } from './effect.ts';
import { type Endpoint, endpointsOf, isRandom, type RandomFault, type Scenario } from './scenario.ts';

const BROWNOUT_SLOWDOWN = 10;
/** The quota of a rate-limited upstream: this share of its capacity, counted in windows of this length. */
const QUOTA_SHARE = 0.5;
const QUOTA_WINDOW_MS = 5_000;
/** A flapping upstream changes between up and down this often. */
const FLAP_MS = 2_000;

const DOWN: Effect = { kind: 'answers', status: 503 };

/** The faults of an endpoint: its own, or those of the scenario's fault. */
export function troublesOf(scenario: Troubled, endpoint: Endpoint): readonly Trouble[] {
  return endpoint.troubles ?? spelledOut(scenario);
}

type Troubled = Pick<Scenario, 'fault' | 'capacityPerSecond' | 'endpoints'>;

/** Whether any reply may have a Retry-After. */
export function asksToWait(scenario: Troubled): boolean {
  return endpointsOf(scenario)
    .flatMap((endpoint) => troublesOf(scenario, endpoint))
    .some(({ does }) =>
      does.kind === 'limits'
        ? does.tells !== 'nothing'
        : does.kind === 'answers' && does.headers?.includes('Retry-After'),
    );
}

/** The effect on the attempts that a random fault hits. */
const HITS: Readonly<Record<RandomFault['kind'], Effect>> = {
  flaky: DOWN,
  stall: { kind: 'streams', content: 'nothing' },
  'error-event': { kind: 'streams', content: 'error' },
};

function spelledOut({ fault, capacityPerSecond }: Troubled): readonly Trouble[] {
  if (isRandom(fault)) return [{ does: HITS[fault.kind], share: fault.share }];
  switch (fault.kind) {
    case 'brownout':
      return [{ does: { kind: 'slows', times: BROWNOUT_SLOWDOWN } }];
    case 'outage':
      return [{ does: DOWN }];
    case 'blackhole':
      return [{ does: { kind: 'hangs' } }];
    case 'exhausted':
      return [{ does: { kind: 'answers', status: 429 } }];
    case 'flapping':
      return [{ does: DOWN, everyMs: FLAP_MS }];
    case 'rate-limited':
      return [{ does: halfOf(capacityPerSecond) }];
    case 'own':
      return [];
  }
}

function halfOf(capacityPerSecond: number): Limits {
  const requests = (QUOTA_SHARE * capacityPerSecond * QUOTA_WINDOW_MS) / 1_000;
  return {
    kind: 'limits',
    per: 'key',
    refill: 'window',
    requests,
    windowMs: QUOTA_WINDOW_MS,
    tells: 'retry-after',
  };
}
