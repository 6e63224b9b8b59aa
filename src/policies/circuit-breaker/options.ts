export interface BreakerOptions {
  /** `shadow` reports what it would have done and lets everything pass. */
  readonly mode: 'enforce' | 'shadow' | 'off';
  readonly windowMs: number;
  /** Fewer attempts than this in the window prove nothing. */
  readonly minRequests: number;
  /** Share of failures in the window that opens, 0 < rate ≤ 1. */
  readonly failureRate: number;
  /** Calls that took longer than `durationMs` to their head open it too, at `rate`. */
  readonly slow: { readonly durationMs: number; readonly rate: number } | undefined;
  /** Failures in a row to connect (DNS, TCP, TLS) that open. */
  readonly connectFailures: number;
  /** Failures in a row that open, once they span at least a second: for upstreams called once a minute. */
  readonly consecutiveFailures: number;
  /** Successful probes in a row that close. */
  readonly probes: number;
  /** The wait before a probe is this share of the outage's age … */
  readonly waitRatio: number;
  /** … but within these bounds. */
  readonly minWaitMs: number;
  readonly maxWaitMs: number;
}
