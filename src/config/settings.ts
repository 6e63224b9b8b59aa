import type { BreakerOptions } from '../policies/circuit-breaker/options.ts';
import type { RetryOptions } from '../policies/retry/options.ts';
import type { RouteSettings } from './config.ts';
import type { Complete } from './inherit.ts';
import type { SharedInput } from './schema.ts';

/** Every setting of a route and of its upstream's connections, as written or inherited. */
export type Settings = Complete<SharedInput>;

/** Turns what the file says into what the policies take. */
export function routeSettings({ timeouts, retry, breaker, concurrency, request }: Settings): RouteSettings {
  return {
    attemptTimeoutMs: timeouts.attempt,
    idleTimeoutMs: timeouts.idle,
    totalTimeoutMs: timeouts.total,
    maxReplayBytes: request.max_replay,
    retry: retryOptions(retry),
    budget: { cap: retry.budget.cap, ratio: retry.budget.ratio, tricklePerSecond: retry.budget.trickle },
    breaker: breakerOptions(breaker, timeouts.attempt),
    concurrency: {
      mode: concurrency.mode,
      initial: concurrency.initial,
      min: concurrency.min,
      max: concurrency.max,
      queue: concurrency.queue,
      waitMs: concurrency.wait,
      latencyCeilingMs: concurrency.latency_ceiling ?? undefined,
    },
  };
}

function retryOptions(retry: Settings['retry']): RetryOptions {
  const { backoff } = retry;
  return {
    attempts: retry.attempts,
    statuses: new Set(retry.statuses),
    notProcessed: new Set(retry.not_processed),
    idempotencyKey: retry.idempotency_key,
    idempotencyHeader: retry.idempotency_header.toLowerCase(),
    backoff: {
      kind: backoff.kind,
      baseMs: backoff.base,
      overloadedBaseMs: backoff.overloaded_base,
      factor: backoff.factor,
      maxMs: backoff.max,
      jitter: backoff.jitter,
      listMs: backoff.list,
    },
    retryAfterMaxMs: retry.retry_after.max,
  };
}

function breakerOptions(breaker: Settings['breaker'], probeLeaseMs: number): BreakerOptions {
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
    probeLeaseMs,
  };
}
