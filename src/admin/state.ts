import type { ScopeSnapshot, StateSource, UpstreamSnapshot } from '../proxy/snapshot.ts';
import type { RecentCall } from './recent.ts';

/** The body of `GET /api/state`. Names as in config and log: snake_case, units in the name. */
export function stateJson(
  readiness: string,
  source: StateSource,
  recent: readonly RecentCall[],
): Record<string, unknown> {
  return {
    readiness,
    replay_bytes: source.replayBytes(),
    upstreams: Array.from(source.upstreams(), upstreamJson),
    recent,
  };
}

function upstreamJson(upstream: UpstreamSnapshot): Record<string, unknown> {
  const { name, inFlight, connections, tunnels, scopes } = upstream;
  return { name, in_flight: inFlight, connections, tunnels, scopes: scopes.map(scopeJson) };
}

function scopeJson({ scope, breaker, budgetTokens, limit }: ScopeSnapshot): Record<string, unknown> {
  return {
    scope,
    breaker: breaker && {
      state: breaker.state,
      cause: breaker.cause,
      retry_after_ms: breaker.retryAfterMs === undefined ? undefined : Math.ceil(breaker.retryAfterMs),
    },
    budget_tokens: budgetTokens,
    concurrency: limit && { limit: limit.limit, in_flight: limit.inFlight, queued: limit.queued },
  };
}
