import { parsePointer } from '../../http/json-pointer.ts';
import { GENERIC_FORMATS } from '../../http/rate-limit.ts';
import type { BreakerOptions } from '../../policies/circuit-breaker/options.ts';
import type { ConcurrencyOptions } from '../../policies/concurrency/options.ts';
import type { DedupeOptions } from '../../policies/dedupe/options.ts';
import type { ErrorRuleOptions } from '../../policies/error-rules/options.ts';
import type { QuotaOptions } from '../../policies/quota/options.ts';
import type { CacheOptions } from '../../policies/response-cache/options.ts';
import type { BackoffOptions, BudgetOptions, RetryOptions } from '../../policies/retry/options.ts';
import type { OverrideLimits } from '../../proxy/overrides.ts';
import type { RouteSettings } from '../config.ts';
import { PART_HEADER } from '../keys/quota.ts';
import { quotaFormats } from '../keys/quota-formats.ts';
import { errorRuleOptions } from './error-rules.ts';
import { fallbackOptions } from './fallback.ts';
import type { Settings } from './context.ts';
import { hedgeOptions } from './hedge.ts';
import { identityOptions } from './identity.ts';
import { once, statuses } from './once.ts';
import { streamOptions } from './stream.ts';

/** The settings of a route as options of the policies. */
export function routeSettings(
  settings: Settings,
): Omit<RouteSettings, 'auth' | 'authEndpoint' | 'durable' | 'faults'> {
  const { timeouts, retry, errors, resume, breaker, cache, concurrency, dedupe, quota, request } = settings;
  return {
    attemptTimeoutMs: timeouts.attempt ?? undefined,
    idleTimeoutMs: timeouts.idle,
    totalTimeoutMs: timeouts.total,
    maxReplayBytes: request.max_replay,
    retry: retryOptions(retry),
    errorRules: errorRulesOf(errors),
    stream: streamOf(settings.stream),
    resumeAttempts: resume.attempts,
    budget: budgetOptions(retry.budget),
    breaker: breakerOptions(breaker),
    cache: cacheOptions(cache),
    dedupe: dedupeOptions(dedupe),
    concurrency: concurrencyOptions(concurrency),
    fallback: fallbackOptions(settings),
    hedge: hedgeOptions(settings),
    overrides: overrideLimits(settings.overrides),
    quota: quotaOptions(quota),
    identity: identityOptions(settings),
    clientPartHeader:
      quota.client === 'off' ? undefined : quota.client.slice(PART_HEADER.length).toLowerCase(),
    rewriteLinks: settings.links === 'rewrite',
    signedMaxAgeMs: settings.signed.max_age ?? undefined,
  };
}

const errorRulesOf = once((errors: Settings['errors']): ErrorRuleOptions => errorRuleOptions(errors));

const streamOf = once(streamOptions);

const budgetOptions = once(
  ({ cap, ratio, refill }: Settings['retry']['budget']): BudgetOptions => ({
    cap,
    ratio,
    refillPerSecond: refill,
  }),
);

const cacheOptions = once(
  (cache: Settings['cache']): CacheOptions => ({
    ttlMs: cache.ttl ?? undefined,
    override: cache.override,
    staleWhileRevalidateMs: cache.stale_while_revalidate,
    staleIfErrorMs: cache.stale_if_error,
    vary: cache.vary.map((name) => name.toLowerCase()),
    maxReplyBytes: cache.max_reply,
    memoryBytes: cache.memory,
  }),
);

const dedupeOptions = once(
  (dedupe: Settings['dedupe']): DedupeOptions => ({
    windowMs: dedupe.window ?? undefined,
    maxReplyBytes: dedupe.max_reply,
    memoryBytes: dedupe.memory,
  }),
);

const concurrencyOptions = once(
  (concurrency: Settings['concurrency']): ConcurrencyOptions => ({
    mode: concurrency.mode,
    min: concurrency.min,
    max: concurrency.max ?? Infinity,
    queue: concurrency.queue,
    waitMs: concurrency.wait,
    latencyCeilingMs: concurrency.latency_ceiling ?? undefined,
  }),
);

const quotaOptions = once(
  ({ cost, wait, credential_headers: credentialHeaders, ...rest }: Settings['quota']): QuotaOptions => {
    const name = (text: string) => (text === 'off' ? undefined : text);
    return {
      mode: rest.mode,
      windows: rest.windows,
      cost: {
        fixed: cost.fixed,
        header: name(cost.header)?.toLowerCase(),
        pointer: name(cost.body),
        reply: cost.reply.map((part) => part.map((pointer) => parsePointer(pointer) ?? [])),
      },
      scope: rest.scope,
      learn: rest.learn,
      formats: quotaFormats(rest.formats) ?? GENERIC_FORMATS,
      credentialHeaders: credentialHeaders.map((header) => header.toLowerCase()),
      queue: rest.queue,
      waitMs: wait ?? Infinity,
    };
  },
);

function overrideLimits(overrides: Settings['overrides']): OverrideLimits | undefined {
  const { attempts, timeout, retry_on: retryOn, ...flags } = overrides;
  if (attempts === null && timeout === null && !retryOn && !Object.values(flags).includes(true))
    return undefined;
  return { attempts: attempts ?? undefined, timeoutMs: timeout ?? undefined, retryOn, ...flags };
}

const retryOptions = once((retry: Settings['retry']): RetryOptions => {
  return {
    attempts: retry.attempts,
    statuses: statuses(retry.statuses),
    notProcessed: statuses(retry.not_processed),
    grpcStatuses: new Set(retry.grpc_statuses),
    idempotencyKey: retry.idempotency_key,
    safe: retry.safe,
    idempotencyHeader: retry.idempotency_header.toLowerCase(),
    limitClientRetries: retry.limit_client_retries,
    backoff: backoffOptions(retry.backoff),
    retryAfterMaxMs: retry.retry_after.max,
    vetoHeaders: retry.veto_headers.map((name) => name.toLowerCase()),
  };
});

/** Options of a backoff, of retries and of durable requests. */
export function backoffOptions(backoff: Settings['retry']['backoff']): BackoffOptions {
  return {
    kind: backoff.kind,
    baseMs: backoff.base,
    overloadedBaseMs: backoff.overloaded_base,
    factor: backoff.factor,
    maxMs: backoff.max,
    jitter: backoff.jitter,
    listMs: backoff.list,
  };
}

const breakerOptions = once((breaker: Settings['breaker']): BreakerOptions => {
  const { slow, wait } = breaker;
  return {
    mode: breaker.mode,
    windowMs: breaker.window,
    minRequests: breaker.min_requests,
    failureRate: breaker.failure_rate,
    slow: slow.duration === null ? undefined : { durationMs: slow.duration, rate: slow.rate },
    connectFailures: breaker.connect_failures,
    consecutiveFailures: breaker.consecutive_failures,
    probes: breaker.probes,
    waitRatio: wait.ratio,
    minWaitMs: wait.min,
    maxWaitMs: wait.max,
  };
});
