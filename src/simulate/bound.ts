import type { RouteSettings } from '../config/config.ts';
import { ASKED_RETRY_COST, RETRY_COST } from '../policies/retry/budget.ts';
import type { Scenario } from './scenario.ts';
import { asksToWait } from './trouble.ts';

/** The guarantee of the retry budget over a period, whatever happens in it. */
export interface Bound {
  readonly attempts: number;
  readonly attemptsPerRequest: number;
  /** The guarantee with its numbers. */
  readonly formula: string;
}

type Policy = Pick<RouteSettings, 'retry' | 'budget'>;

/**
 * attempts ≤ requests + callers · (cap + refill · t) + ratio · successes, and never more than `retry.attempts` each. A retry
 * that waits as long as the upstream asked costs half, so where it asks, the budget buys twice as many.
 */
export function attemptsBound(
  { retry, budget: { cap, ratio, refillPerSecond } }: Policy,
  scenario: Pick<Scenario, 'fault' | 'callers' | 'capacityPerSecond' | 'endpoints'>,
  over: { readonly requests: number; readonly successes: number; readonly ms: number },
): Bound {
  const { requests, successes, ms } = over;
  const { callers } = scenario;
  const perToken = asksToWait(scenario) ? RETRY_COST / ASKED_RETRY_COST : RETRY_COST;
  const seconds = ms / 1_000;
  const funded = requests + perToken * (callers * (cap + refillPerSecond * seconds) + ratio * successes);
  const most = requests * retry.attempts;
  const attempts = Math.floor(Math.min(funded, most));
  const tokens = `${callers} · (${cap} + ${refillPerSecond} · ${Math.round(seconds)}) + ${ratio} · ${successes}`;
  return {
    attempts,
    attemptsPerRequest: requests === 0 ? 0 : attempts / requests,
    formula:
      most <= funded
        ? `${requests} requests · ${retry.attempts} attempts`
        : `${requests} + ${perToken === 1 ? tokens : `${perToken} · (${tokens})`}`,
  };
}

type Load = Pick<Scenario, 'ratePerSecond' | 'callers' | 'capacityPerSecond'>;

/**
 * A warning if this configuration could keep an upstream overloaded that would otherwise recover; undefined: no warning.
 * Retries can add `ratio` per success to the load. While the sum exceeds the capacity, the budget alone does not end an
 * overload.
 */
export function overloadWarning(settings: RouteSettings, load: Load): string | undefined {
  const { ratePerSecond, callers, capacityPerSecond } = load;
  if (ratePerSecond >= capacityPerSecond) {
    return `the load alone, ${shown(ratePerSecond)}/s, is not below the stated capacity of ${shown(capacityPerSecond)}/s; lower --rps, or raise --capacity`;
  }
  const { retry, budget } = settings;
  const ratio = Math.min(budget.ratio, retry.attempts - 1);
  const refill = retry.attempts > 1 ? callers * budget.refillPerSecond : 0;
  const reached = ratePerSecond * (1 + ratio) + refill;
  if (ratio === 0 || reached <= capacityPerSecond) return undefined;
  const sum = `${shown(ratePerSecond)}/s · (1 + ${shown(ratio)})${refill > 0 ? ` + ${shown(refill)}/s` : ''} = ${shown(reached)}/s`;
  const above = `${sum} is above the stated capacity of ${shown(capacityPerSecond)}/s`;
  const protections = protectionsOf(settings);
  const safe = (capacityPerSecond - refill) / ratePerSecond - 1;
  const advice = safe > 0 ? `; write retry.budget.ratio: ${floor2(safe)} or less to exclude this` : '';
  return protections === ''
    ? `${above}, so retries can sustain an outage, and no breaker or adaptive limit ends it${advice}`
    : `${above}, so without ${protections} retries could sustain an outage${advice}`;
}

function protectionsOf({ breaker, concurrency }: RouteSettings): string {
  const protections = [
    ...(breaker.mode === 'enforce' ? ['the breaker'] : []),
    ...(concurrency.mode === 'adaptive' ? ['the adaptive limit'] : []),
  ];
  return protections.join(' and ');
}

const shown = (value: number): string => String(Number(value.toFixed(2)));

const floor2 = (value: number): string => String(Math.floor(value * 100) / 100);
