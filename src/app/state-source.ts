import type { ByteBudget } from '../http/byte-budget.ts';
import type { ScopeSnapshot, StateSource, UpstreamSnapshot } from '../proxy/snapshot.ts';
import type { Clock } from '../runtime/clock.ts';
import type { RunningUpstream } from './assemble.ts';
import type { Scope } from './scope.ts';

/** The running upstreams as scrapes and the admin API see them; asked anew each time, so that a reload shows at once. */
export function stateSource(
  upstreams: () => readonly RunningUpstream[],
  memory: ByteBudget,
  clock: Clock,
): StateSource {
  return {
    upstreams: () => upstreams().map((upstream) => upstreamSnapshot(upstream, clock.now())),
    replayBytes: () => memory.used,
  };
}

function upstreamSnapshot(
  { name, calls, connections, scopes }: RunningUpstream,
  now: number,
): UpstreamSnapshot {
  return {
    name,
    inFlight: calls.inFlight,
    connections: connections(),
    tunnels: calls.tunnels,
    scopes: scopes.map((scope) => scopeSnapshot(scope, now)),
  };
}

function scopeSnapshot({ name, budget, guard, limiter }: Scope, now: number): ScopeSnapshot {
  const breaker = guard?.breaker;
  const state = breaker?.state(now);
  return {
    scope: name,
    breaker: state && {
      state,
      cause: guard?.cause,
      retryAfterMs: state === 'closed' ? undefined : breaker?.retryAfterMs(now),
    },
    budgetTokens: budget?.tokens(now),
    limit: limiter && {
      limit: limiter.limit.limit,
      inFlight: limiter.limit.inFlight,
      queued: limiter.queue.size,
    },
  };
}
