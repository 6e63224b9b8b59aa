import type { BucketSnapshot, ScopeSnapshot, TargetSnapshot, UpstreamSnapshot } from '../snapshot.ts';

/** A metric's name, meaning and labels. Label values come from the configuration or from closed sets, never from paths. */
export interface MetricSpec {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Of a histogram; those of calls when left out. */
  readonly buckets?: readonly number[];
}

/** Labels of what is counted by route. */
export const ROUTE = ['upstream', 'route'] as const;
export const SCOPE = ['upstream', 'scope'] as const;

/** From a local 5 ms to the longest total timeout in use; a stream that lasts longer falls in +Inf. */
export const DURATION_BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120,
];

export const COUNTERS = {
  logLinesDropped: {
    name: 'breakwater_log_lines_dropped_total',
    help: 'Log lines that were dropped because stdout was not read.',
    labels: [],
  },
  traceSpans: {
    name: 'breakwater_trace_spans_total',
    help: 'Spans of traced calls: exported, failed (the collector did not take them), or dropped because too many waited for it.',
    labels: ['result'],
  },
  sharedRoundTrips: {
    name: 'breakwater_shared_round_trips_total',
    help: 'Requests to the shared store: ok, late (no answer in time, so they count as lost) or failed.',
    labels: ['result'],
  },
  sharedValues: {
    name: 'breakwater_shared_values_total',
    help: 'Values in the shared store by kind (reply of dedupe, access token), and what became of them: read, written, late (written after the store was away), alone (not written, because the store was away), lost (another replica was first), too_large (not written) or unreadable (replaced).',
    labels: ['kind', 'result'],
  },
  requests: {
    name: 'breakwater_requests_total',
    help: 'Calls that ended, by outcome and by the status that the client got. none: the client left first. gRPC errors count as the HTTP status that they correspond to. With clients.tokens, it also has the label client.',
    labels: [...ROUTE, 'method', 'status', 'outcome'],
  },
  attempts: {
    name: 'breakwater_attempts_total',
    help: 'Attempts at the upstream that ended, by result: ok, 429, 4xx, 5xx or an error code.',
    labels: [...ROUTE, 'result'],
  },
  retries: {
    name: 'breakwater_retries_total',
    help: 'Retries that were sent, by the result of the previous attempt.',
    labels: [...ROUTE, 'reason'],
  },
  rescued: {
    name: 'breakwater_rescued_requests_total',
    help: 'Calls that succeeded after at least one retry.',
    labels: ROUTE,
  },
  configReloads: {
    name: 'breakwater_config_reloads_total',
    help: 'Loads of the configuration, by result. The first load counts too.',
    labels: ['result'],
  },
} as const satisfies Record<string, MetricSpec>;

export const HISTOGRAMS = {
  requestDuration: {
    name: 'breakwater_request_duration_seconds',
    help: 'Time from the request to the last byte of the reply, waits and retries included.',
    labels: ROUTE,
  },
  attemptDuration: {
    name: 'breakwater_attempt_duration_seconds',
    help: 'Time from the start of an attempt to the head of its reply or to its failure.',
    labels: ROUTE,
  },
  backoff: {
    name: 'breakwater_backoff_seconds',
    help: 'Waits before retries that were sent.',
    labels: ROUTE,
  },
} as const satisfies Record<string, MetricSpec>;

/** A gauge of one set of policy state: the upstream's, or that of a route that has its own. */
export interface ScopeGauge {
  readonly name: string;
  readonly help: string;
  /** Undefined: the gauge has no series there. */
  readonly read: (scope: ScopeSnapshot) => number | undefined;
}

/** Adding one takes a row here, its value in `ScopeSnapshot` and its source in `app/state-source.ts`. */
export const SCOPE_GAUGES: readonly ScopeGauge[] = [
  {
    name: 'breakwater_retry_budget_tokens',
    help: 'Retries that the retry budget allows now.',
    read: ({ budgetTokens }) => budgetTokens,
  },
  {
    name: 'breakwater_cache_bytes',
    help: 'Memory taken by cached replies.',
    read: ({ cacheBytes }) => cacheBytes,
  },
  {
    name: 'breakwater_dedupe_bytes',
    help: 'Memory taken by replies that deduplication replays.',
    read: ({ dedupeBytes }) => dedupeBytes,
  },
  {
    name: 'breakwater_concurrency_limit',
    help: 'Attempts that may be under way at the same time.',
    read: ({ limit }) => limit?.limit,
  },
  {
    name: 'breakwater_concurrency_in_flight',
    help: 'Attempts that hold a permit of the concurrency limit.',
    read: ({ limit }) => limit?.inFlight,
  },
  {
    name: 'breakwater_concurrency_queue_depth',
    help: 'Attempts that wait for a permit of the concurrency limit.',
    read: ({ limit }) => limit?.queued,
  },
  {
    name: 'breakwater_quota_queue_depth',
    help: "Attempts that wait for the upstream's quota.",
    read: ({ quota }) => quota?.waiting,
  },
  {
    name: 'breakwater_quota_cooldowns_active',
    help: 'Active cooldowns: credentials, or parts of the API under a credential, whose calls wait because the upstream asked for it.',
    read: ({ quota }) => quota?.cooldowns,
  },
  {
    name: 'breakwater_credential_expires_seconds',
    help: 'Time until the credential expires that the proxy adds (an access token). It is renewed before.',
    read: ({ auth }) => auth?.expiresMs && auth.expiresMs / 1000,
  },
];

/** A gauge of each quota, with the label `bucket`. */
interface BucketGauge {
  readonly name: string;
  readonly help: string;
  readonly read: (bucket: BucketSnapshot) => number | undefined;
}

export const BUCKET_GAUGES: readonly BucketGauge[] = [
  {
    name: 'breakwater_quota_remaining',
    help: 'Units left, for the credential that has the fewest. bucket: a configured window, or a quota named by the API.',
    read: ({ remaining }) => remaining,
  },
  {
    name: 'breakwater_quota_limit',
    help: 'Units when the quota is full.',
    read: ({ limit }) => limit,
  },
  {
    name: 'breakwater_quota_reset_seconds',
    help: 'Time until the quota is full again.',
    read: ({ resetMs }) => resetMs && resetMs / 1000,
  },
];

/** A gauge of each upstream. */
interface UpstreamGauge {
  readonly name: string;
  readonly help: string;
  /** Undefined: the gauge has no series there. */
  readonly read: (upstream: UpstreamSnapshot) => number | undefined;
}

export const UPSTREAM_GAUGES: readonly UpstreamGauge[] = [
  {
    name: 'breakwater_upstream_connections',
    help: 'Open connections to the upstream, idle ones included.',
    read: ({ connections }) => connections,
  },
  {
    name: 'breakwater_tunnels',
    help: 'Open WebSocket connections to the upstream.',
    read: ({ tunnels }) => tunnels,
  },
  {
    name: 'breakwater_tenants',
    help: 'Tenants of the upstream that have policy state in memory. tenant.max bounds them.',
    read: ({ tenants }) => tenants?.count,
  },
  {
    name: 'breakwater_tenants_breaker_not_closed',
    help: 'Tenants of the upstream whose breaker is open or half-open. Calls of other tenants are not affected.',
    read: ({ tenants }) => tenants?.notClosed,
  },
];

/** A gauge of each target of an upstream. */
interface TargetGauge {
  readonly name: string;
  readonly help: string;
  readonly read: (target: TargetSnapshot) => number;
}

export const TARGET_GAUGES: readonly TargetGauge[] = [
  {
    name: 'breakwater_target_in_service',
    help: '1 if the target may get calls, 0 if its credential is refused or an operator has taken it out.',
    read: ({ state }) => (state === 'in' ? 1 : 0),
  },
  {
    name: 'breakwater_target_in_flight',
    help: 'Attempts at the target whose reply has not ended.',
    read: ({ inFlight }) => inFlight,
  },
];

/** Other gauges. All are read at a scrape. */
export const GAUGES = {
  breakerState: {
    name: 'breakwater_breaker_state',
    help: '1 for the current state of the breaker, 0 for the others. Traffic flows while it is closed.',
    labels: [...SCOPE, 'state'],
  },
  bufferedBytes: {
    name: 'breakwater_buffered_body_bytes',
    help: 'Memory taken by request and reply bodies that are buffered. body_memory limits it.',
    labels: [],
  },
  sharedUsed: {
    name: 'breakwater_shared_store_used',
    help: '1 while the shared store is used, 0 while this replica uses its share of each quota. No series without a shared store.',
    labels: [],
  },
  sharedValuesUsed: {
    name: 'breakwater_shared_values_used',
    help: '1 while replies of dedupe and access tokens are shared, 0 while this replica knows only its own. No series if none are shared.',
    labels: [],
  },
  sharedReplicas: {
    name: 'breakwater_shared_replicas',
    help: 'Replicas that the shared store has seen in the last seconds, this one included.',
    labels: [],
  },
  lastReloadSuccessful: {
    name: 'breakwater_config_last_reload_successful',
    help: '1 if the newest configuration is the running one, 0 if it was refused.',
    labels: [],
  },
  lastReloadSuccess: {
    name: 'breakwater_config_last_reload_success_timestamp_seconds',
    help: 'When the running configuration was loaded, in seconds since the Unix epoch.',
    labels: [],
  },
  buildInfo: {
    name: 'breakwater_build_info',
    help: 'Always 1. The labels are the versions of Breakwater and Node.js.',
    labels: ['version', 'node'],
  },
} as const satisfies Record<string, MetricSpec>;

export const DURABLE_GAUGES = {
  durableRequests: {
    name: 'breakwater_durable_requests',
    help: 'Durable requests in the store, by status.',
    labels: [...ROUTE, 'status'],
  },
  durableOldestDue: {
    name: 'breakwater_durable_oldest_due_seconds',
    help: 'Time that the oldest due request of the route has been due. 0: none is due.',
    labels: ROUTE,
  },
  storeWorking: {
    name: 'breakwater_store_working',
    help: '0 if the store of durable requests has failed in the last seconds, otherwise 1.',
    labels: [],
  },
  storeBytes: {
    name: 'breakwater_store_bytes',
    help: 'Disk space of the store of durable requests.',
    labels: [],
  },
} as const satisfies Record<string, MetricSpec>;

/**
 * Defaults of prom-client that are left out: they read private parts of Node, or break the naming rules
 * (a gauge whose name ends in `_total`).
 */
export const UNWANTED_DEFAULTS: readonly string[] = [
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];
