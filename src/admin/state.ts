import type {
  BucketSnapshot,
  CredentialSnapshot,
  QuotaSnapshot,
  ScopeSnapshot,
  SharedSnapshot,
  TenantsSnapshot,
  TargetSnapshot,
  UpstreamSnapshot,
} from '../telemetry/snapshot.ts';
import type { About, AdminDeps } from './deps.ts';
import { summaryJson } from './traffic.ts';

/** The body of `GET /api/state`. Names are snake_case with the unit, as in the configuration and the log. */
export function stateJson(deps: StateParts) {
  const prefix = deps.durable?.prefix;
  return {
    readiness: deps.readiness(),
    ...aboutJson(deps.about()),
    durable: prefix === undefined ? undefined : { prefix },
    shared: sharedJson(deps.state.shared?.()),
    quota_memory: deps.state.quotaMemory?.(),
    buffered_body_bytes: deps.state.bufferedBytes(),
    upstreams: Array.from(deps.state.upstreams(), (upstream) => ({
      ...upstreamJson(upstream),
      last_minute: summaryJson(deps.traffic.summary(upstream.name)),
    })),
    notable_calls: deps.calls.seen,
  };
}

export type StateParts = Pick<AdminDeps, 'readiness' | 'state' | 'durable' | 'calls' | 'traffic' | 'about'>;

function aboutJson({ version, file, startedAt, loadedAt, refusedReload, clients }: About) {
  return {
    version,
    file,
    started_at: new Date(startedAt).toISOString(),
    loaded_at: new Date(loadedAt).toISOString(),
    refused_reload: refusedReload && {
      at: new Date(refusedReload.at).toISOString(),
      problems: refusedReload.problems,
    },
    clients: clients?.map(({ name, priority, allow, quotaShare }) => ({
      name,
      priority,
      allow,
      quota_share: quotaShare,
    })),
  };
}

function sharedJson(shared: SharedSnapshot | undefined) {
  if (shared === undefined) return undefined;
  const { store, away, replicas, roundTrips, values } = shared;
  return {
    store,
    used: away === undefined,
    away,
    replicas,
    round_trips: roundTrips,
    values: values && {
      used: values.away === undefined,
      away: values.away,
      round_trips: values.roundTrips,
      ...values.counts,
    },
  };
}

function upstreamJson(upstream: UpstreamSnapshot) {
  const { name, url, mount, faults, inFlight, connections, tunnels, scopes, targets, tenants } = upstream;
  return {
    name,
    url,
    mount,
    faults,
    in_flight: inFlight,
    connections,
    tunnels,
    scopes: scopes.map(scopeJson),
    targets: targets?.map(targetJson),
    tenants: tenants && tenantsJson(tenants),
  };
}

function targetJson({ inFlight, retryAfterMs, ...target }: TargetSnapshot) {
  const wait = retryAfterMs === undefined ? undefined : Math.ceil(retryAfterMs);
  return { ...target, in_flight: inFlight, retry_after_ms: wait };
}

function tenantsJson({ count, max, notClosed, busiest }: TenantsSnapshot) {
  return {
    count,
    max,
    breaker_not_closed: notClosed,
    busiest: busiest.map(({ tenant, inFlight, connections, scopes }) => ({
      tenant,
      in_flight: inFlight,
      connections,
      scopes: scopes.map(scopeJson),
    })),
  };
}

function scopeJson(snapshot: ScopeSnapshot) {
  const { scope, target, breaker, budgetTokens, limit, quota, cacheBytes, dedupeBytes, auth } = snapshot;
  return {
    scope,
    target,
    breaker: breaker && {
      state: breaker.state,
      cause: breaker.cause,
      shadow: breaker.shadow,
      forced: breaker.forced || undefined,
      retry_after_ms: breaker.retryAfterMs === undefined ? undefined : Math.ceil(breaker.retryAfterMs),
    },
    budget_tokens: budgetTokens,
    cache_bytes: cacheBytes,
    dedupe_bytes: dedupeBytes,
    concurrency: limit && {
      shadow: limit.shadow,
      limit: finite(limit.limit),
      in_flight: limit.inFlight,
      queued: limit.queued,
    },
    quota: quota && quotaJson(quota),
    auth: auth && {
      kind: auth.kind,
      expires_ms: auth.expiresMs === undefined ? undefined : Math.floor(auth.expiresMs),
      failure: auth.failure,
    },
  };
}

/** JSON has no infinity, so an infinite limit is omitted. */
const finite = (limit: number): number | undefined => (Number.isFinite(limit) ? limit : undefined);

function quotaJson({ shadow, waiting, cooldowns, credentials }: QuotaSnapshot) {
  return { shadow, waiting, cooldowns, credentials: credentials.map(credentialJson) };
}

const REPORTERS = { replica: 'another replica', before: 'an earlier process' } as const;

function credentialJson({ credential, limited, waiting, cooldown, buckets }: CredentialSnapshot) {
  return {
    credential,
    limited,
    waiting,
    cooldown: cooldown && {
      cause: cooldown.cause,
      retry_after_ms: Math.ceil(cooldown.retryAfterMs),
      reported_by: cooldown.reportedBy && REPORTERS[cooldown.reportedBy],
    },
    buckets: buckets.map(bucketJson),
  };
}

function bucketJson({ bucket, policy, limit, remaining, resetMs }: BucketSnapshot) {
  return {
    bucket,
    policy: policy || undefined,
    limit,
    remaining: Math.floor(remaining),
    reset_ms: resetMs === undefined ? undefined : Math.ceil(resetMs),
  };
}
