import { compose, type Policy, type Send } from '../proxy/pipeline.ts';
import type { PacePolicies } from './silence/policy.ts';
import type { QuotaPolicies } from './quota/policy.ts';
import type { SignatureAgePolicies } from './signature-age/signature-age.ts';

/** One policy per place; undefined where the route has it off. */
export interface Policies {
  readonly dedupe: Policy | undefined;
  readonly deadline: Policy;
  readonly signatureAge?: SignatureAgePolicies | undefined;
  readonly responseCache: Policy | undefined;
  /** In its place, for calls that are always sent. */
  readonly cacheRefill?: Policy | undefined;
  readonly fallback?: Policy | undefined;
  readonly retry: Policy;
  readonly resume: Policy | undefined;
  readonly hedge?: Policy | undefined;
  /** In place of `hedge` where none is configured. */
  readonly besideStuck?: Policy | undefined;
  readonly quota: QuotaPolicies | undefined;
  readonly pace?: PacePolicies | undefined;
  readonly circuitBreaker: Policy | undefined;
  readonly concurrency: Policy | undefined;
  readonly attemptTimeout: Policy | undefined;
  readonly errorRules: Policy | undefined;
}

/**
 * THE order of policies, outermost first:
 *
 * - `dedupe`: outside the deadline, because its call goes on without its client, to a deadline of its own; outside retry,
 *   because what is kept and given again is the last reply.
 * - `deadline`: bounds everything, waits included.
 * - `signatureAge`: outside all that waits, because the age of a signature counts from the call's coming in; its other end, `departure`,
 *   is inside all that waits for a turn or a permit.
 * - `responseCache`: outside all that costs; what is kept needs no upstream, and what fails in the end may be replaced by it.
 * - `fallback`: inside the deadline, of which it keeps a share for the other upstream; outside retry, because only what finally
 *   fails is to be answered by another.
 * - `retry`: outside all that judges or limits a single attempt.
 * - `resume`: inside retry, whose business ends with the head; outside the breaker and the limit, because each part of a body
 *   is an attempt of its own.
 * - `hedge`, `besideStuck`: inside retry, which sees the two as one; outside all that counts or limits an attempt, for each of the two is one.
 * - `quota`: inside retry, because waiting for it is no attempt, and a retry waits its turn like all others; outside the
 *   breaker, so that who waits here is not told by a breaker that opened and closed meanwhile. Its other end,
 *   `departure`, is inside the concurrency limit: what waited there for a permit meets what was learned meanwhile.
 * - `pace`: outside the breaker and the limit, which ask its watch what an attempt's silence says. Its other end, `departure`,
 *   is inside all that waits, because only the upstream's own time counts.
 * - `circuitBreaker`: inside retry, so that each attempt counts and none passes once it is open; outside the
 *   concurrency limit, so that a refused attempt does not queue for a permit first.
 * - `concurrency`: inside retry, because a call asleep in backoff must not hold a permit.
 * - `attemptTimeout`: inside all that waits, so that waiting for a permit is not charged to the upstream.
 * - `inspection`: innermost, so that all others see what a reply means, and its reading of a body has the attempt's time limit.
 */
export function pipeline(policies: Policies, upstream: Send): Send {
  const { pace, quota, signatureAge } = policies;
  const present = [
    policies.dedupe,
    policies.deadline,
    signatureAge?.admission,
    policies.responseCache,
    policies.fallback,
    policies.retry,
    policies.resume,
    policies.hedge,
    policies.besideStuck,
    quota?.admission,
    pace?.admission,
    policies.circuitBreaker,
    policies.concurrency,
    quota?.departure,
    signatureAge?.departure,
    pace?.departure,
    policies.attemptTimeout,
    policies.errorRules,
  ].filter((policy) => policy !== undefined);
  return compose(present, upstream);
}

/**
 * The part of it that concerns one attempt, for a caller who keeps results and decides on retries himself: durable
 * requests, whose attempts lie minutes apart. They are always sent, and what they bring is kept for those who ask the cache.
 */
export function attemptPipeline(policies: Policies, upstream: Send): Send {
  const none = { dedupe: undefined, fallback: undefined, hedge: undefined };
  const responseCache = policies.cacheRefill;
  return pipeline({ ...policies, ...none, responseCache, retry: (next) => next }, upstream);
}
