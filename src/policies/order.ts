import { compose } from '../proxy/compose.ts';
import type { Dispatch, Policy } from '../proxy/pipeline.ts';
import type { AuthPolicies } from './auth/auth.ts';
import type { SilencePolicies } from './silence/policy.ts';
import type { QuotaPolicies } from './quota/policy.ts';
import type { SignatureAgePolicies } from './signature-age/signature-age.ts';

/** The policies of a whole call, one per place; undefined if it is off on the route. */
export interface CallPolicies {
  readonly dedupe: Policy | undefined;
  readonly deadline: Policy;
  readonly signatureAge?: SignatureAgePolicies | undefined;
  readonly responseCache: Policy | undefined;
  /** Replaces `responseCache` for calls that are always sent. */
  readonly cacheRefill?: Policy | undefined;
  readonly fallback?: Policy | undefined;
  readonly retry: Policy | undefined;
  /** Replaces `retry` for a single attempt: only another target follows. */
  readonly detour?: Policy | undefined;
  readonly resume: Policy | undefined;
  readonly hedge?: Policy | undefined;
  /** Replaces `hedge` if none is configured. */
  readonly hedgeStuck?: Policy | undefined;
}

/** The policies of one attempt. */
export interface AttemptPolicies {
  readonly signatureAge?: SignatureAgePolicies | undefined;
  readonly auth?: AuthPolicies | undefined;
  readonly quota: QuotaPolicies | undefined;
  readonly silence?: SilencePolicies | undefined;
  readonly circuitBreaker: Policy | undefined;
  readonly concurrency: Policy | undefined;
  readonly stream?: Policy | undefined;
  readonly attemptTimeout: Policy | undefined;
  readonly errorRules: Policy | undefined;
}

export type Policies = CallPolicies & AttemptPolicies;

/** For a call whose attempts go to targets, each with policies of its own. */
export const ELSEWHERE: AttemptPolicies = {
  quota: undefined,
  circuitBreaker: undefined,
  concurrency: undefined,
  attemptTimeout: undefined,
  errorRules: undefined,
};

/**
 * THE order of policies, outermost first:
 *
 * - `dedupe`: outside the deadline, because its call goes on without its client and has a deadline of its own; outside retry,
 *   because it stores the final reply.
 * - `deadline`: limits everything, waits included.
 * - `signatureAge`: outside all waits, because the age of a signature counts from the arrival of the call. Its `inner` part is
 *   inside all waits for a turn or a permit.
 * - `responseCache`: outside all that costs: a cached reply needs no upstream, and can replace a final failure.
 * - `fallback`: inside the deadline, of which it reserves a share; outside retry, because it answers only final failures.
 * - `retry`: outside all that classifies or limits a single attempt.
 * - `resume`: inside retry, whose work ends with the head; outside the breaker and the limit, because each part of a body is an
 *   attempt of its own.
 * - `hedge`, `hedgeStuck`: inside retry, which sees the two attempts as one; outside all that counts or limits an attempt,
 *   because each of the two is one.
 * - the choice of a target: inside retry, resume and hedge, because each attempt may go to another one; outside all that is a fact of
 *   a credential or of a host.
 * - `auth`: inside retry and hedge, because each attempt has its own credential; outside the other waits. Its `inner` part is
 *   inside all waits, so that a signature or token is as new as the attempt, and outside `silence`, whose time is the upstream's.
 * - `quota`: inside retry, because a wait for quota is no attempt, and a retry is queued like other attempts; outside the
 *   breaker, because the breaker may open and close during the wait. Its `inner` part is inside the concurrency limit: a limit
 *   that is learned during the wait for a permit holds for the attempt too.
 * - `silence`: outside the breaker and the limit, which ask its watch about the attempt's silence. Its `inner` part is inside
 *   all waits, because only the upstream's own time counts.
 * - `circuitBreaker`: inside retry, so that each attempt counts and none passes while it is open; outside the concurrency
 *   limit, so that a refused attempt does not queue for a permit first.
 * - `concurrency`: inside retry, because a call in backoff must not hold a permit.
 * - `stream`: inside all waits and `silence`, because the wait for the first event is the upstream's own time; outside
 *   `attemptTimeout`, which ends with the head.
 * - `attemptTimeout`: inside all waits, so that the wait for a permit is not charged to the upstream.
 * - `errorRules`: innermost, so that all others see the classification of a reply, and the attempt's time limit holds for the
 *   reading of its body.
 */
export function pipeline(policies: Policies, upstream: Dispatch): Dispatch {
  return composed([...ofCall(policies), ...ofAttempt(policies)], upstream);
}

function ofCall(policies: CallPolicies): PolicyPlaces {
  return [
    policies.dedupe,
    policies.deadline,
    policies.signatureAge?.outer,
    policies.responseCache,
    policies.fallback,
    policies.retry,
    policies.resume,
    policies.hedge,
    policies.hedgeStuck,
  ];
}

function ofAttempt({ auth, silence, quota, signatureAge, ...policies }: AttemptPolicies): PolicyPlaces {
  return [
    auth?.outer,
    quota?.outer,
    silence?.outer,
    policies.circuitBreaker,
    policies.concurrency,
    quota?.inner,
    signatureAge?.inner,
    auth?.inner,
    silence?.inner,
    policies.stream,
    policies.attemptTimeout,
    policies.errorRules,
  ];
}

type PolicyPlaces = readonly (Policy | undefined)[];

function composed(places: PolicyPlaces, upstream: Dispatch): Dispatch {
  return compose(
    places.filter((policy) => policy !== undefined),
    upstream,
  );
}

/** The pipeline of one attempt at a target. */
export function targetPipeline(policies: AttemptPolicies, upstream: Dispatch): Dispatch {
  return composed(ofAttempt(policies), upstream);
}

/**
 * The part of the pipeline for a single attempt of a durable request. Durable requests store results and decide on retries
 * themselves, minutes apart. They are always sent, and their replies are cached for other calls.
 */
export function attemptPipeline(policies: Policies, upstream: Dispatch): Dispatch {
  const none = { dedupe: undefined, fallback: undefined, retry: policies.detour, hedge: undefined };
  const responseCache = policies.cacheRefill;
  return pipeline({ ...policies, ...none, responseCache }, upstream);
}
