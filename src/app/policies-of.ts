import type { RouteConfig } from '../config/config.ts';
import type { ByteBudget } from '../http/byte-budget.ts';
import { attemptTimeout } from '../policies/attempt-timeout/attempt-timeout.ts';
import { circuitBreaker } from '../policies/circuit-breaker/policy.ts';
import { concurrencyLimit } from '../policies/concurrency/policy.ts';
import { deadline } from '../policies/deadline/deadline.ts';
import type { Policies } from '../policies/order.ts';
import { retry } from '../policies/retry/retry.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import type { Scopes } from './scope.ts';

export interface PolicyDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly memory: ByteBudget;
}

/** A route's policies over the state that `scopes` finds for it: the same for the proxy and for `simulate`. */
export function policiesOf({ name, settings }: RouteConfig, scopes: Scopes, deps: PolicyDeps): Policies {
  const { clock, random, memory } = deps;
  const budget = scopes.budget(name, settings.budget);
  const { breaker, trip } = scopes.guard(name, settings.breaker);
  const { limit, queue } = scopes.limiter(name, settings.concurrency);
  const { mode } = settings.breaker;
  const { waitMs } = settings.concurrency;
  return {
    deadline: deadline(clock),
    retry: retry(settings.retry, { clock, random, budget, trip, memory }),
    circuitBreaker: breaker && mode !== 'off' ? circuitBreaker(breaker, { mode, clock }) : undefined,
    concurrency:
      settings.concurrency.mode === 'off' ? undefined : concurrencyLimit(limit, { queue, waitMs, clock }),
    attemptTimeout: attemptTimeout(settings.attemptTimeoutMs, clock),
  };
}
