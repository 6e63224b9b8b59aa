/** A metric's name, meaning and labels. Label values come from the configuration or from closed sets, never from paths. */
export interface MetricSpec {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Of a histogram; those of calls when left out. */
  readonly buckets?: readonly number[];
}

const ROUTE = ['upstream', 'route'] as const;
const SCOPE = ['upstream', 'scope'] as const;

/** From a local 5 ms to the longest total timeout in use; a stream that lasts longer falls in +Inf. */
export const DURATION_BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120,
];

/** From a second to the week that a request may wait for an outage to end. */
const LONG_BUCKETS: readonly number[] = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400, 604_800];

/** From an fsync on a good disk to one that is about to fail. */
const COMMIT_BUCKETS: readonly number[] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];

export const COUNTERS = {
  logLinesDropped: {
    name: 'breakwater_log_lines_dropped_total',
    help: 'Log lines that were lost, because nothing read them from stdout.',
    labels: [],
  },
  requests: {
    name: 'breakwater_requests_total',
    help: 'Calls that ended, by the status the client got ("none": it left before a head; for gRPC the one that its error stands for) and the outcome.',
    labels: [...ROUTE, 'method', 'status', 'outcome'],
  },
  attempts: {
    name: 'breakwater_attempts_total',
    help: 'Attempts against the upstream that ended, by result: ok, 429, 4xx, 5xx or an error code.',
    labels: [...ROUTE, 'result'],
  },
  retries: {
    name: 'breakwater_retries_total',
    help: 'Attempts after the first, by what came of the attempt before.',
    labels: [...ROUTE, 'reason'],
  },
  clientRetries: {
    name: 'breakwater_client_retries_total',
    help: 'Calls that their client said were retries of its own; the budget is charged for them.',
    labels: ROUTE,
  },
  cacheRequests: {
    name: 'breakwater_cache_requests_total',
    help: 'Calls on a route with a cache, by how they fared with it.',
    labels: [...ROUTE, 'result'],
  },
  deduped: {
    name: 'breakwater_dedupe_total',
    help: 'Calls with an idempotency key where equal ones are answered once, by what became of them.',
    labels: [...ROUTE, 'result'],
  },
  retriesDenied: {
    name: 'breakwater_retries_denied_total',
    help: 'Failed attempts that were not followed by another, by the rule that said no.',
    labels: [...ROUTE, 'reason'],
  },
  repliesJudged: {
    name: 'breakwater_replies_judged_total',
    help: 'Replies that meant something else than their status says, by what a rule of the API made of them.',
    labels: [...ROUTE, 'means'],
  },
  rescued: {
    name: 'breakwater_rescued_requests_total',
    help: 'Calls that succeeded after at least one retry.',
    labels: ROUTE,
  },
  rejected: {
    name: 'breakwater_rejected_total',
    help: 'Refusals of the proxy itself, upstream untouched; a retry that was refused counts too.',
    labels: [...ROUTE, 'reason'],
  },
  shadowRejected: {
    name: 'breakwater_shadow_rejected_total',
    help: 'What a policy in shadow mode would have refused.',
    labels: [...ROUTE, 'reason'],
  },
  resumes: {
    name: 'breakwater_resumes_total',
    help: 'Downloads that broke: resumed, or why the rest was not brought (attempts, budget, breaker, changed …).',
    labels: [...ROUTE, 'result'],
  },
  bodiesNotKept: {
    name: 'breakwater_request_bodies_not_kept_total',
    help: 'Request bodies that outgrew the cap of the call or the memory for all, so that their call could not be retried.',
    labels: [...ROUTE, 'reason'],
  },
  overrides: {
    name: 'breakwater_overrides_total',
    help: 'What clients asked for their calls in place of what the route says, by what it was.',
    labels: [...ROUTE, 'override'],
  },
  hedges: {
    name: 'breakwater_hedges_total',
    help: 'Second attempts beside slow ones: won, lost, failed; or why one was not sent.',
    labels: [...ROUTE, 'result'],
  },
  fallbacks: {
    name: 'breakwater_fallbacks_total',
    help: 'Calls that finally failed on a route with a fallback: answered by it, failed there too, or why it was not asked.',
    labels: [...ROUTE, 'result'],
  },
  breakerTransitions: {
    name: 'breakwater_breaker_transitions_total',
    help: 'Changes of breaker state.',
    labels: [...SCOPE, 'from', 'to', 'cause'],
  },
  breakerStaleResults: {
    name: 'breakwater_breaker_stale_results_total',
    help: 'Results of attempts that the breaker had let through in an earlier state; they changed nothing.',
    labels: SCOPE,
  },
  quotaGateClosings: {
    name: 'breakwater_quota_gate_closings_total',
    help: 'How often all callers of a quota were stopped because one of them was told to wait; "permanent": waiting will not help.',
    labels: [...SCOPE, 'cause'],
  },
  durableDeferrals: {
    name: 'breakwater_durable_deferrals_total',
    help: 'Times that a durable request was due and nothing was sent, by what was in its way.',
    labels: [...ROUTE, 'reason'],
  },
  durablePolls: {
    name: 'breakwater_durable_polls_total',
    help: 'Good answers to durable requests that need not be the final ones, by what they said; "unchanged": what the one before had said.',
    labels: [...ROUTE, 'result'],
  },
  durableReclaimed: {
    name: 'breakwater_durable_reclaimed_total',
    help: 'Durable requests that were taken over because the process that ran them was gone.',
    labels: ROUTE,
  },
  callbacks: {
    name: 'breakwater_callbacks_total',
    help: 'Callbacks that ended: delivered, gone (410), failed or cancelled.',
    labels: ['outcome'],
  },
  scheduleSlots: {
    name: 'breakwater_schedule_slots_total',
    help: 'Slots of schedules that came: started, or skipped because the run before went on (overlap) or it was paused.',
    labels: ['schedule', 'result'],
  },
  configReloads: {
    name: 'breakwater_config_reloads_total',
    help: 'Attempts to load the configuration, the first included.',
    labels: ['result'],
  },
} as const satisfies Record<string, MetricSpec>;

export const HISTOGRAMS = {
  requestDuration: {
    name: 'breakwater_request_duration_seconds',
    help: 'From the request to the last byte of the reply, waits and retries included.',
    labels: ROUTE,
  },
  attemptDuration: {
    name: 'breakwater_attempt_duration_seconds',
    help: 'From the start of an attempt to its head or its failure.',
    labels: ROUTE,
  },
  backoff: {
    name: 'breakwater_backoff_seconds',
    help: 'Waits before retries that took place.',
    labels: ROUTE,
  },
  durableTimeToDone: {
    name: 'breakwater_durable_time_to_done_seconds',
    help: 'From the acceptance of a durable request to its end, by how it ended.',
    labels: [...ROUTE, 'status'],
    buckets: LONG_BUCKETS,
  },
  storeCommit: {
    name: 'breakwater_store_commit_seconds',
    help: 'Commits of the store of durable requests; many requests share one.',
    labels: [],
    buckets: COMMIT_BUCKETS,
  },
  queueWait: {
    name: 'breakwater_queue_wait_seconds',
    help: 'Waits for a permit of the concurrency limit.',
    labels: ROUTE,
  },
  quotaWait: {
    name: 'breakwater_quota_wait_seconds',
    help: "Waits for the upstream's quota, by attempts that could not go at once.",
    labels: ROUTE,
  },
} as const satisfies Record<string, MetricSpec>;

/** What is read at a scrape. */
export const GAUGES = {
  budgetTokens: {
    name: 'breakwater_retry_budget_tokens',
    help: 'Retries that the budget would pay for now.',
    labels: SCOPE,
  },
  breakerState: {
    name: 'breakwater_breaker_state',
    help: '1 for the state that the breaker is in, 0 for the others; traffic flows while closed.',
    labels: [...SCOPE, 'state'],
  },
  cacheBytes: {
    name: 'breakwater_cache_bytes',
    help: 'Memory taken by replies in the cache.',
    labels: SCOPE,
  },
  storedReplyBytes: {
    name: 'breakwater_stored_reply_bytes',
    help: 'Memory taken by replies that are kept for repeats of their request.',
    labels: SCOPE,
  },
  concurrencyLimit: {
    name: 'breakwater_concurrency_limit',
    help: 'Attempts that may be under way at once.',
    labels: SCOPE,
  },
  concurrencyInFlight: {
    name: 'breakwater_concurrency_inflight',
    help: 'Attempts that hold a permit of the concurrency limit.',
    labels: SCOPE,
  },
  queueDepth: {
    name: 'breakwater_queue_depth',
    help: 'Attempts that wait for a permit.',
    labels: SCOPE,
  },
  quotaRemaining: {
    name: 'breakwater_quota_remaining',
    help: 'Units that are left, of the credential that has least; bucket is a window of the configuration, or a quota that the API speaks of.',
    labels: [...SCOPE, 'bucket'],
  },
  quotaLimit: {
    name: 'breakwater_quota_limit',
    help: 'Units when the quota is whole.',
    labels: [...SCOPE, 'bucket'],
  },
  quotaReset: {
    name: 'breakwater_quota_reset_seconds',
    help: 'Until that quota is whole again.',
    labels: [...SCOPE, 'bucket'],
  },
  quotaGateClosed: {
    name: 'breakwater_quota_gate_closed',
    help: 'Credentials whose calls all wait because the upstream said so.',
    labels: SCOPE,
  },
  quotaQueueDepth: {
    name: 'breakwater_quota_queue_depth',
    help: "Attempts that wait for the upstream's quota.",
    labels: SCOPE,
  },
  replayBytes: {
    name: 'breakwater_replay_bytes',
    help: 'Memory taken by request bodies kept for replay.',
    labels: [],
  },
  upstreamConnections: {
    name: 'breakwater_upstream_connections',
    help: 'Open connections to the upstream, idle ones included.',
    labels: ['upstream'],
  },
  tunnels: {
    name: 'breakwater_tunnels',
    help: 'Open WebSocket connections to the upstream.',
    labels: ['upstream'],
  },
  lastReloadSuccessful: {
    name: 'breakwater_config_last_reload_successful',
    help: '1 when the newest configuration is the running one, 0 when it was refused.',
    labels: [],
  },
  lastReloadSuccess: {
    name: 'breakwater_config_last_reload_success_timestamp_seconds',
    help: 'When the running configuration was loaded, in seconds since the Unix epoch.',
    labels: [],
  },
  buildInfo: {
    name: 'breakwater_build_info',
    help: 'Always 1; the labels say what runs.',
    labels: ['version', 'node'],
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

export const DURABLE_GAUGES = {
  durableRequests: {
    name: 'breakwater_durable_requests',
    help: 'Durable requests in the store, by where they stand.',
    labels: [...ROUTE, 'status'],
  },
  durableOldestDue: {
    name: 'breakwater_durable_oldest_due_seconds',
    help: 'For how long the oldest due request of the route has been due; 0 when none is.',
    labels: ROUTE,
  },
  storeBytes: {
    name: 'breakwater_store_bytes',
    help: 'What the store of durable requests takes on disk.',
    labels: [],
  },
} as const satisfies Record<string, MetricSpec>;
