/** The ports that the soaked proxy's upstreams are on. */
export interface Ports {
  /** Has every kind of fault. */
  readonly faulty: number;
  /** Is healthy, except for the faults that the policy of a route is about. */
  readonly well: number;
  /** Speaks HTTP/2 by prior knowledge. */
  readonly grpc: number;
}

/** Time for which a cached reply is fresh. */
export const CACHE_TTL_MS = 1_000;

/** A route for every policy with state between calls. The state is bounded, so that it becomes constant. */
export const soakConfig = (ports: Ports) => `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
clients: { head_timeout: 2s, body_timeout: 1s, http2: true }
durable: { store: ./durable.db }
defaults:
  timeouts: { connect: 1s, attempt: 1s, total: 3s, idle: 1s }
  retry: { budget: { cap: 100, ratio: 1 }, backoff: { base: 10ms, overloaded_base: 10ms } }
  connection: { keep_alive: 1s, max_age: 5s }
upstreams:
  api:
    url: http://127.0.0.1:${ports.faulty}
    allow_private: true
    resume: true
    # Opens when the upstream restarts, not at every bad turn: the soak is to get through.
    breaker: { failure_rate: 99%, consecutive_failures: 50, connect_failures: 5, probes: 1, wait: { min: 100ms, max: 200ms } }
    # Its timeouts are chance, not overload.
    concurrency: 100
  well:
    url: http://127.0.0.1:${ports.well}
    allow_private: true
    timeouts: { attempt: 4s, total: 6s }
    concurrency: 100
    routes:
      - { name: cached, match: { path: /cached/** }, cache: { ttl: ${CACHE_TTL_MS}ms, memory: 64KiB } }
      - { name: once, match: { path: /once/** }, dedupe: { window: 30s, memory: 64KiB }, retry: { idempotency_key: pass } }
      - { name: hedged, match: { path: /hedged/** }, hedge: { after: 20ms, max_extra: 100% } }
      - { name: broken, match: { path: /broken/** }, breaker: off, fallback: { reply: { status: 203, body: instead } } }
      - { name: later, match: { path: /later/** }, durable: { backoff: { base: 10ms, overloaded_base: 10ms }, retention: 5s } }
  limited: # credentials are an upstream's, and so are their quotas
    url: http://127.0.0.1:${ports.well}/limited
    allow_private: true
    timeouts: { attempt: 4s, total: 6s }
    concurrency: 100
  grpc:
    url: http://127.0.0.1:${ports.grpc}
    allow_private: true
    retry: { attempts: 5 }
    connection: { http2: require }
`;
