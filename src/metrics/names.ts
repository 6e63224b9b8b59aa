/** A metric's name, meaning and labels. Label values come from the configuration or from closed sets, never from paths. */
export interface MetricSpec {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

const ROUTE = ['upstream', 'route'] as const;
const SCOPE = ['upstream', 'scope'] as const;

/** From a local 5 ms to the longest total timeout in use; a stream that lasts longer falls in +Inf. */
export const DURATION_BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120,
];

export const COUNTERS = {
  requests: {
    name: 'breakwater_requests_total',
    help: 'Calls that ended, by the status the client got ("none": it left before a head) and the outcome.',
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
  retriesDenied: {
    name: 'breakwater_retries_denied_total',
    help: 'Failed attempts that were not followed by another, by the rule that said no.',
    labels: [...ROUTE, 'reason'],
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
  bodiesNotKept: {
    name: 'breakwater_request_bodies_not_kept_total',
    help: 'Request bodies that outgrew the cap of the call or the memory for all, so that their call could not be retried.',
    labels: [...ROUTE, 'reason'],
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
  queueWait: {
    name: 'breakwater_queue_wait_seconds',
    help: 'Waits for a permit of the concurrency limit.',
    labels: ROUTE,
  },
} as const satisfies Record<string, MetricSpec>;

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
