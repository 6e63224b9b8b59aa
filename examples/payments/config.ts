/** The config.yaml of the example. */
export interface Setting {
  readonly apiUrl: string;
  /** The allowed target of callbacks. */
  readonly hooks: string;
  readonly secret: string;
  /** The file for durable requests. */
  readonly store: string;
  /** All times are divided by this. */
  readonly speed: number;
}

/** The configuration of Breakwater for an API that fails most of the time. Every payment must be completed. */
export function configFor({ apiUrl, hooks, secret, store, speed }: Setting): string {
  const seconds = (count: number, leastMs = 1) =>
    `${Math.max(leastMs, Math.round((count * 1_000) / speed))}ms`;
  // The shortest interval of polls.
  const polls = (count: number) => seconds(count, 100);
  return `
durable:
  store: ${store}
  callbacks:
    allow: ["${hooks}"]
    secrets: ["${secret}"]
    allow_private: true # the receiver of this example is on this machine
upstreams:
  pay:
    url: ${apiUrl}
    allow_private: true # so is its API
    timeouts: { attempt: 12s }
    breaker: { failure_rate: 95%, consecutive_failures: 50 } # this API is not down when most calls fail: it is always so
    retry: { budget: { cap: 100 } }
    routes:
      - name: payments
        match: { method: POST, path: /payments }
        retry: { idempotency_key: pass } # the API knows keys and charges once
        durable:
          backoff: { base: ${seconds(1)}, overloaded_base: ${seconds(1)}, max: ${seconds(8)} }
          poll: # its answer is only a receipt: a payment that is pending
            target: "/payments/{json:/id}"
            until:
              success: [{ json: /status, in: [settled] }]
              failure: [{ json: /status, in: [declined] }]
              delay: { min: ${polls(2)}, max: ${polls(8)} }
`;
}
