import type { BreakerCause, BreakerState, CooldownCause } from '../proxy/events.ts';

/** What may be read of the policies' state at any moment: by a scrape, and by the admin API. */
export interface StateSource {
  /** Every configured upstream, in the order of the configuration. */
  upstreams(): Iterable<UpstreamSnapshot>;
  /** Memory that buffered request and reply bodies take now. */
  bufferedBytes(): number;
  /** Log lines that were lost since the start. */
  droppedLogLines?: (() => number) | undefined;
  /** Undefined without durable requests, or where their store does not answer. */
  durable?(): Promise<DurableSnapshot | undefined>;
}

/** Durable requests in the store. */
export interface DurableSnapshot {
  readonly requests: readonly {
    readonly upstream: string;
    readonly route: string;
    readonly status: string;
    readonly count: number;
  }[];
  /** For how long the oldest due request of each route has been due; 0 when none is. */
  readonly oldestDue: readonly {
    readonly upstream: string;
    readonly route: string;
    readonly seconds: number;
  }[];
  readonly storeBytes: number | undefined;
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
  /** Undefined without a cache. */
  readonly cacheBytes?: number | undefined;
  /** Undefined without deduplication. */
  readonly dedupeBytes?: number | undefined;
  readonly limit: LimitSnapshot | undefined;
  readonly quota: QuotaSnapshot | undefined;
}

export interface BreakerSnapshot {
  readonly state: BreakerState;
  /** Why it is in this state; undefined when it has never changed. */
  readonly cause: BreakerCause | undefined;
  /** An operator holds the state, until an operator releases it. */
  readonly forced: boolean;
  /** Until the next probe; undefined while closed or forced. */
  readonly retryAfterMs: number | undefined;
}

export interface LimitSnapshot {
  /** Infinity while nothing limits. */
  readonly limit: number;
  readonly inFlight: number;
  readonly queued: number;
}

export interface QuotaSnapshot {
  /** Attempts that wait, for whatever credential. */
  readonly waiting: number;
  /** Cooldowns that run, of whole credentials and of parts of the API under one. */
  readonly cooldowns: number;
  /** Of each bucket the credential that has least. */
  readonly scarcest: readonly BucketSnapshot[];
  /** Those that were used last, first; not all of many. */
  readonly credentials: readonly CredentialSnapshot[];
}

/** What one credential may do. */
export interface CredentialSnapshot {
  /** A short hash; '' for calls without a credential. */
  readonly credential: string;
  /** What it holds for, as `GET /reports/*`; undefined for all calls of the credential. */
  readonly limited?: string | undefined;
  readonly waiting: number;
  readonly buckets: readonly BucketSnapshot[];
  /** Undefined while calls pass. */
  readonly cooldown: { readonly cause: CooldownCause; readonly retryAfterMs: number } | undefined;
}

/** One quota: a configured window, or one that the upstream speaks of. */
export interface BucketSnapshot {
  /** `100/s`, `default`, `tokens`. */
  readonly bucket: string;
  /** The upstream's own name for it, if it has several under one. */
  readonly policy: string;
  readonly limit: number | undefined;
  readonly remaining: number;
  readonly resetMs: number | undefined;
}
