import { accountOf } from '../auth/options.ts';
import type { RouteConfig } from '../config/config.ts';
import type { ByteBudget } from '../http/byte-budget.ts';
import { CredentialNames } from '../http/credentials.ts';
import { authPolicies } from '../policies/auth/auth.ts';
import { circuitBreaker } from '../policies/circuit-breaker/policy.ts';
import { concurrencyLimit } from '../policies/concurrency/policy.ts';
import { dedupe } from '../policies/dedupe/policy.ts';
import { errorRules } from '../policies/error-rules/error-rules.ts';
import type { SecondDeps } from '../policies/hedge/deps.ts';
import { hedgeStuck, hedge } from '../policies/hedge/hedge.ts';
import type { AttemptPolicies, CallPolicies, Policies } from '../policies/order.ts';
import { silencePolicies } from '../policies/silence/policy.ts';
import type { QuotaOptions } from '../policies/quota/options.ts';
import { quotaPolicies } from '../policies/quota/policy.ts';
import { shadowQuota } from '../policies/quota/shadow.ts';
import { cacheRefill } from '../policies/response-cache/refill.ts';
import { responseCache } from '../policies/response-cache/response-cache.ts';
import { resume } from '../policies/retry/resume/resume.ts';
import type { BackoffInterrupt } from '../policies/retry/backoff-interrupt.ts';
import { detour, retry } from '../policies/retry/retry.ts';
import { signatureAgePolicies } from '../policies/signature-age/signature-age.ts';
import { stream } from '../policies/stream/stream.ts';
import { attemptTimeout } from '../policies/timeouts/attempt-timeout.ts';
import { deadline } from '../policies/timeouts/deadline.ts';
import type { Call } from '../proxy/call.ts';
import type { Credential } from '../proxy/credential.ts';
import type { Trail } from '../proxy/trail.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import type { PolicyState, TargetIdentity } from './policy-state.ts';

export interface PolicyDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly memory: ByteBudget;
  /** The credential that the proxy adds to the route's attempts; undefined: none. */
  readonly credential?: Credential | undefined;
}

/** Builds the policies of a route on its state. Used by the proxy and by `simulate`. */
export function policiesOf(route: RouteConfig, policyState: PolicyState, deps: PolicyDeps): Policies {
  const { credential } = deps;
  const handle = policyState.breakerHandle(route);
  const quota = policyState.quota(route);
  const destination: Destination = {
    interrupt: policyState.watch(route, [handle]).interrupt,
    isWell: (now) => handle.isClosed(now),
    hasRoom: (call) => quota?.hasRoom(call) ?? true,
    repeats: credential?.renewal !== undefined,
    identity: { hosts: [], accounts: [] },
  };
  return {
    ...callPoliciesOf(route, policyState, { ...deps, destination }),
    ...attemptPoliciesOf(route, { host: policyState, account: policyState }, deps),
  };
}

/** The state of the policies of an attempt. */
export interface AttemptState {
  /** Facts of the host: breaker, limit, usual times. */
  readonly host: PolicyState;
  /** Facts of the credential: quota. */
  readonly account: PolicyState;
}

/** The place that the attempts of a call go to, as the policies of the call know it. */
export interface Destination {
  readonly interrupt: BackoffInterrupt;
  /** False while a breaker is not closed. */
  readonly isWell: (now: number) => boolean;
  /** Whether the quota allows an additional attempt. */
  readonly hasRoom: (call: Call) => boolean;
  /** Attempts may be repeated there. */
  readonly repeats: boolean;
  /** Replies of one target are replies of all, as long as these are the same. */
  readonly identity: TargetIdentity;
  /** See `RetryDeps`. */
  readonly trailOf?: (call: Call) => Trail;
}

export interface CallPolicyDeps extends PolicyDeps {
  readonly destination: Destination;
}

/** The policies of a whole call. */
export function callPoliciesOf(
  route: RouteConfig,
  policyState: PolicyState,
  deps: CallPolicyDeps,
): CallPolicies {
  const { settings } = route;
  const { clock, random, memory, destination } = deps;
  const { interrupt, repeats, trailOf } = destination;
  const budget = policyState.budget(route);
  const { totalTimeoutMs } = settings;
  const dedupeState = policyState.dedupe(route);
  const { maxReplyBytes } = settings.dedupe;
  const retried = settings.retry.statuses;
  const names = new CredentialNames(settings.identity);
  const account = [...accountOf(settings.auth), ...destination.identity.accounts];
  return {
    dedupe: dedupeState && dedupe({ ...dedupeState, clock, memory, maxReplyBytes, retried, names, account }),
    deadline: deadline(clock),
    signatureAge: signatureAgeOf(settings, clock),
    ...cachesOf(route, policyState, deps),
    retry: retry(settings.retry, {
      clock,
      random,
      budget,
      interrupt,
      memory,
      hedged: settings.hedge !== undefined || repeats,
      trailOf,
    }),
    ...(trailOf && { detour: detour(settings.retry, { clock, random, budget, interrupt, memory, trailOf }) }),
    resume:
      settings.resumeAttempts === 0
        ? undefined
        : resume({
            attempts: settings.resumeAttempts,
            retry: settings.retry,
            totalTimeoutMs,
            clock,
            random,
            budget,
            interrupt,
          }),
    ...secondAttemptOf(route, policyState, deps),
  };
}

/** The policies of one attempt. */
export function attemptPoliciesOf(
  route: RouteConfig,
  { host, account }: AttemptState,
  deps: PolicyDeps,
): AttemptPolicies {
  const { name, settings } = route;
  const { clock, memory, credential } = deps;
  const { breaker } = host.breakerHandle(route);
  const { limit, queue } = host.limiter(route);
  const quota = account.quota(route);
  const { mode } = settings.breaker;
  const { waitMs } = settings.concurrency;
  return {
    auth: credential && authPolicies(credential),
    quota: quota && quotaOf(settings.quota.mode)(quota, { clock, memory }),
    signatureAge: signatureAgeOf(settings, clock),
    silence: silencePolicies(host.usualTimes(name), { ...settings, clock }),
    circuitBreaker: breaker && mode !== 'off' ? circuitBreaker(breaker, { mode, clock }) : undefined,
    concurrency:
      settings.concurrency.mode === 'off' ? undefined : concurrencyLimit(limit, { queue, waitMs, clock }),
    ...innermostOf(settings, { clock, memory }),
  };
}

function quotaOf(mode: QuotaOptions['mode']): typeof quotaPolicies {
  return mode === 'shadow' ? shadowQuota : quotaPolicies;
}

function cachesOf(
  route: RouteConfig,
  policyState: PolicyState,
  { clock, memory, destination }: CallPolicyDeps,
) {
  const { cache: options, durable, totalTimeoutMs } = route.settings;
  const cache = policyState.cache(route, destination.identity);
  return {
    responseCache: cache && responseCache(options, { ...cache, clock, memory, totalTimeoutMs }),
    cacheRefill: cache && durable && cacheRefill(options, { ...cache, clock, memory }),
  };
}

/** The policies closest to the upstream, each only if it is configured. */
function innermostOf(
  { attemptTimeoutMs, errorRules: rules, stream: streams }: RouteConfig['settings'],
  deps: Pick<PolicyDeps, 'clock' | 'memory'>,
) {
  return {
    stream: streams && stream(streams, deps),
    attemptTimeout: attemptTimeoutMs === undefined ? undefined : attemptTimeout(attemptTimeoutMs, deps.clock),
    errorRules: rules.rules.length === 0 ? undefined : errorRules(rules, deps),
  };
}

function signatureAgeOf({ signedMaxAgeMs: ms }: RouteConfig['settings'], clock: Clock) {
  return ms === undefined ? undefined : signatureAgePolicies(ms, clock);
}

/** The policy that starts a second attempt while the first one runs, if configured: a hedge, or one only for a stuck attempt. */
function secondAttemptOf(
  route: RouteConfig,
  policyState: PolicyState,
  { clock, memory, destination }: CallPolicyDeps,
): Pick<CallPolicies, 'hedge' | 'hedgeStuck'> {
  const { name, settings } = route;
  if (settings.hedge === undefined) return {};
  const budget = policyState.budget(route);
  const { interrupt, isWell, hasRoom } = destination;
  const deps: SecondDeps = {
    clock,
    memory,
    budget: { withdraw: (now) => budget.withdraw(now), refund: () => budget.refund() },
    blocked: (now) => {
      if (interrupt.reason(now) === 'draining') return 'refused_draining';
      return isWell(now) ? undefined : 'refused_breaker';
    },
    quotaHasRoom: hasRoom,
    failing: settings.retry.statuses,
  };
  if (settings.hedge === 'stuck') return { hedgeStuck: hedgeStuck(deps) };
  return { hedge: hedge(settings.hedge, { ...deps, ...policyState.hedging(name, settings.hedge) }) };
}
