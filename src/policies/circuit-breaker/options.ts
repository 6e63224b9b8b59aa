export interface BreakerOptions {
  /** `shadow` lets every call pass and reports the refusals that `enforce` would make. */
  readonly mode: 'enforce' | 'shadow' | 'off';
  readonly windowMs: number;
  /** The fewest attempts in the window for which its rates count. */
  readonly minRequests: number;
  /** The share of failures in the window that opens the breaker, 0 < rate ≤ 1. */
  readonly failureRate: number;
  /** The share of attempts with more than `durationMs` to their head that opens the breaker. */
  readonly slow: { readonly durationMs: number; readonly rate: number } | undefined;
  /** The number of failures to connect in a row (DNS, TCP, TLS) that opens the breaker. */
  readonly connectFailures: number;
  /** The number of failures in a row, over a second or more, that opens the breaker. For upstreams with few calls. */
  readonly consecutiveFailures: number;
  /** The number of successful probes in a row that closes the breaker. */
  readonly probes: number;
  /** The wait before a probe is this share of the outage's age … */
  readonly waitRatio: number;
  /** … but within these bounds. */
  readonly minWaitMs: number;
  readonly maxWaitMs: number;
}
