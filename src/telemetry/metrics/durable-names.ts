import type { MetricSpec } from './catalog.ts';

const ROUTE = ['upstream', 'route'] as const;

export const DURABLE_COUNTERS = {
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
} as const satisfies Record<string, MetricSpec>;

/** From a second to the week that a request may wait for an outage to end. */
const LONG_BUCKETS: readonly number[] = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400, 604_800];

/** From an fsync on a good disk to one that is about to fail. */
const COMMIT_BUCKETS: readonly number[] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];

export const DURABLE_HISTOGRAMS = {
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
} as const satisfies Record<string, MetricSpec>;

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
