import { compose, type Policy, type Send } from '../proxy/pipeline.ts';

/** One policy per place; undefined where the route has it off. */
export interface Policies {
  readonly deadline: Policy;
  readonly retry: Policy;
  readonly circuitBreaker: Policy | undefined;
  readonly concurrency: Policy | undefined;
  readonly attemptTimeout: Policy;
}

/**
 * THE order of policies, outermost first:
 *
 * - `deadline`: bounds everything, waits included.
 * - `retry`: outside all that judges or limits a single attempt.
 * - `circuitBreaker`: inside retry, so that each attempt counts and none passes once it is open; outside the
 *   concurrency limit, so that a refused attempt does not queue for a permit first.
 * - `concurrency`: inside retry, because a call asleep in backoff must not hold a permit.
 * - `attemptTimeout`: innermost, so that waiting for a permit is not charged to the upstream.
 */
export function pipeline(policies: Policies, upstream: Send): Send {
  const { deadline, retry, circuitBreaker, concurrency, attemptTimeout } = policies;
  const present = [deadline, retry, circuitBreaker, concurrency, attemptTimeout].filter(
    (policy) => policy !== undefined,
  );
  return compose(present, upstream);
}
