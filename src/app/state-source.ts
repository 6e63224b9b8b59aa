import type { ByteBudget } from '../http/byte-budget.ts';
import type { Clock } from '../runtime/clock.ts';
import type {
  BreakerSnapshot,
  ScopeSnapshot,
  StateSource,
  TenantsSnapshot,
  UpstreamSnapshot,
} from '../telemetry/snapshot.ts';
import type { TrafficSample } from '../telemetry/traffic/upstream-traffic.ts';
import type { RunningUpstream } from './assemble.ts';
import type { ScopeState } from './policy-state.ts';
import { quotaSnapshot } from './quota-snapshot.ts';
import type { Tenants } from './tenants.ts';

/** The state of the upstreams for metrics and the admin API. Read at each call, so that a reload is visible at once. */
export function stateSource(
  upstreams: () => readonly RunningUpstream[],
  memory: ByteBudget,
  clock: Clock,
): StateSource {
  return {
    *upstreams() {
      for (const upstream of upstreams()) yield upstreamSnapshot(upstream, clock.now());
    },
    bufferedBytes: () => memory.used,
  };
}

/** Gauges for the history of an upstream; undefined if there is no such upstream. */
export function trafficSample(
  upstreams: readonly RunningUpstream[],
  name: string,
  now: number,
): TrafficSample | undefined {
  const scopes = upstreams.find((upstream) => upstream.name === name)?.scopes;
  if (scopes === undefined) return undefined;
  const quotas = scopes.flatMap(({ quota }) => (quota === undefined ? [] : quotaSnapshot(quota, now)));
  const shares = quotas
    .flatMap(({ scarcest }) => scarcest)
    .flatMap(({ limit = 0, remaining }) => (limit > 0 ? Math.min(1, remaining / limit) : []));
  return {
    quotaLeft: shares.length === 0 ? undefined : Math.min(...shares),
    quotaWaiting: quotas.reduce((sum, { waiting }) => sum + waiting, 0),
    cooldowns: quotas.reduce((sum, { cooldowns }) => sum + cooldowns, 0),
  };
}

function upstreamSnapshot(
  { name, url, mount, faults, calls, connections, scopes, targets, tenants }: RunningUpstream,
  now: number,
): UpstreamSnapshot {
  return {
    name,
    url,
    mount,
    faults,
    inFlight: calls.inFlight,
    connections: connections(),
    tunnels: calls.tunnels,
    scopes: scopes.map((scope) => scopeSnapshot(scope, now)),
    targets: targets?.snapshot(now),
    tenants: tenants && tenantsSnapshot(tenants, now),
  };
}

/** Tenants in the snapshot: enough for a page, of up to 100 000. */
const BUSIEST = 10;

function tenantsSnapshot(tenants: Tenants, now: number): TenantsSnapshot {
  const all = [...tenants];
  const closed = ({ breakerHandle }: ScopeState) =>
    (breakerHandle?.breaker?.state(now) ?? 'closed') === 'closed';
  const busiest = all.toSorted((a, b) => b.calls - a.calls).slice(0, BUSIEST);
  return {
    count: tenants.size,
    max: tenants.max,
    notClosed: all.filter(({ expanded }) => !expanded.policyState.all().every(closed)).length,
    busiest: busiest.map(({ name, calls, expanded }) => ({
      tenant: name,
      inFlight: calls,
      connections: expanded.connections(),
      scopes: expanded.policyState.all().map((scope) => scopeSnapshot(scope, now)),
    })),
  };
}

function scopeSnapshot(
  { name, target, budget, breakerHandle, limiter, cache, dedupe, quota, credential }: ScopeState,
  now: number,
): ScopeSnapshot {
  return {
    scope: name,
    target,
    breaker: breakerSnapshot(breakerHandle, now),
    budgetTokens: budget?.tokens(now),
    cacheBytes: cache?.bytes,
    dedupeBytes: dedupe?.store.bytes,
    limit: limiter && {
      limit: limiter.limit.limit,
      inFlight: limiter.limit.inFlight,
      queued: limiter.queue.size,
      shadow: limiter.limit.shadow || undefined,
    },
    quota: quota && quotaSnapshot(quota, now),
    auth: credential?.snapshot(),
  };
}

function breakerSnapshot(handle: ScopeState['breakerHandle'], now: number): BreakerSnapshot | undefined {
  const breaker = handle?.breaker;
  if (breaker === undefined) return undefined;
  const state = breaker.state(now);
  const { forced } = breaker;
  const retryAfterMs = state === 'closed' || forced ? undefined : breaker.retryAfterMs(now);
  return { state, cause: handle?.cause, forced, retryAfterMs, shadow: handle?.isShadow || undefined };
}
