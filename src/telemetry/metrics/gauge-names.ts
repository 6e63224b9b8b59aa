import type { MetricSpec } from './catalog.ts';

const SCOPE = ['upstream', 'scope'] as const;

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
