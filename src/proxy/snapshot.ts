import type { BreakerCause, BreakerState } from './events.ts';

/** What may be read of the policies' state at any moment: by a scrape, and by the admin API. */
export interface StateSource {
  /** Every configured upstream, in the order of the configuration. */
  upstreams(): Iterable<UpstreamSnapshot>;
  /** Memory that request bodies kept for replay take now. */
  replayBytes(): number;
}

export interface UpstreamSnapshot {
  readonly name: string;
  /** Calls between their first byte in and their last byte out. */
  readonly inFlight: number;
  /** Open connections, idle ones included. */
  readonly connections: number;
  /** Connections that have become tunnels; they are among `connections`. */
  readonly tunnels: number;
  /** One per set of policy state: the upstream itself, and each route that has its own. */
  readonly scopes: readonly ScopeSnapshot[];
}

export interface ScopeSnapshot {
  /** The same name as in this scope's state events. */
  readonly scope: string;
  /** Undefined where the policy is off. */
  readonly breaker: BreakerSnapshot | undefined;
  readonly budgetTokens: number | undefined;
  readonly limit: LimitSnapshot | undefined;
}

export interface BreakerSnapshot {
  readonly state: BreakerState;
  /** Why it is in this state; undefined when it has never changed. */
  readonly cause: BreakerCause | undefined;
  /** Until the next probe; undefined while closed. */
  readonly retryAfterMs: number | undefined;
}

export interface LimitSnapshot {
  readonly limit: number;
  readonly inFlight: number;
  readonly queued: number;
}
