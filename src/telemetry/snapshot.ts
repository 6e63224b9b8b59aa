import type { SpanCounts } from './tracing/otlp.ts';
import type { BreakerCause, BreakerState, CooldownCause, SharedAway } from '../proxy/events.ts';

/** The state of the policies, for a scrape and for the admin API. */
export interface StateSource {
  /** Every configured upstream, in the order of the configuration. Each is read when the iteration reaches it. */
  upstreams(): Iterable<UpstreamSnapshot>;
  /** Bytes of buffered request and reply bodies. */
  bufferedBytes(): number;
  /** Log lines lost since the start. */
  droppedLogLines?: (() => number) | undefined;
  /** Spans of traces since the start. */
  traceSpans?: (() => SpanCounts) | undefined;
  /** Whether the store of durable requests works. Undefined without durable requests. */
  storeWorking?(): boolean | undefined;
  /** The store that replicas share; undefined: none. */
  shared?: (() => SharedSnapshot | undefined) | undefined;
  /** The memory of quotas; undefined: they are not remembered. */
  quotaMemory?: (() => QuotaMemorySnapshot | undefined) | undefined;
  /** Undefined without durable requests, or if their store does not answer. */
  durable?(): Promise<DurableSnapshot | undefined>;
}

/** The store of what replicas share. */
export interface SharedSnapshot {
  /** Its URL, without secrets. */
  readonly store: string;
  /** Why it is not used; undefined: it is used. */
  readonly away: SharedAway | undefined;
  /** Replicas that were last seen, this one included. */
  readonly replicas: number;
  /** Requests to it, by their end. */
  readonly roundTrips: RoundTripCounts;
  /** Replies and tokens; undefined: none are shared. */
  readonly values?: SharedValuesSnapshot | undefined;
}

type RoundTripCounts = Readonly<Record<'ok' | 'late' | 'failed', number>>;

/** Values that replicas share, by what became of them. */
export type SharedValueCounts = Readonly<Record<'reply' | 'token', Record<string, number>>>;

/** Replies of dedupe and access tokens that replicas share. */
export interface SharedValuesSnapshot {
  /** Why the store is not used for them; undefined: it is used. */
  readonly away: SharedAway | undefined;
  readonly roundTrips: RoundTripCounts;
  readonly counts: SharedValueCounts;
}

/** Durable requests in the store. */
export interface DurableSnapshot {
  readonly requests: readonly {
    readonly upstream: string;
    readonly route: string;
    readonly status: string;
    readonly count: number;
  }[];
  /** How long the oldest due request of each route has been due; 0 if none is due. */
  readonly oldestDue: readonly {
    readonly upstream: string;
    readonly route: string;
    readonly seconds: number;
  }[];
  readonly storeBytes: number | undefined;
}

export interface UpstreamSnapshot {
  readonly name: string;
  /** The URL of its attempts, without secret parts. */
  readonly url: string;
  /** Where apps reach it: `/stripe`, or `Host: api.example`. */
  readonly mount: string;
  /** Faults are injected into attempts of some of its routes. */
  readonly faults?: true | undefined;
  /** Calls between the first byte received and the last byte sent. */
  readonly inFlight: number;
  /** Open connections, including idle ones. */
  readonly connections: number;
  /** Connections that became tunnels; `connections` includes them. */
  readonly tunnels: number;
  /** One per set of policy state: the upstream itself, each route that has its own, and each host and key of its targets. */
  readonly scopes: readonly ScopeSnapshot[];
  /** Undefined if all calls go to one host. */
  readonly tenants?: TenantsSnapshot | undefined;
  /** Undefined without targets. */
  readonly targets?: readonly TargetSnapshot[] | undefined;
}

/** The tenants of an upstream that have state in memory. */
export interface TenantsSnapshot {
  readonly count: number;
  /** The bound of `count`. */
  readonly max: number;
  /** Tenants with a breaker that is open or half-open. */
  readonly notClosed: number;
  /** Those with the most calls, of equals the most recently used; cut if there are many. */
  readonly busiest: readonly TenantSnapshot[];
}

export interface TenantSnapshot {
  readonly tenant: string;
  readonly inFlight: number;
  readonly connections: number;
  readonly scopes: readonly ScopeSnapshot[];
}

/** A key or a host of an upstream. */
export interface TargetSnapshot {
  readonly name: string;
  /** Without secret parts. */
  readonly url: string;
  readonly weight: number;
  readonly tier: number;
  /** Attempts whose reply has not ended. */
  readonly inFlight: number;
  /** `refused`: its credential is refused. `out`: an operator has taken it out. */
  readonly state: 'in' | 'refused' | 'out';
  /** The status by which its credential is refused. */
  readonly status: number | undefined;
  /** Milliseconds until its credential is tried again. */
  readonly retryAfterMs: number | undefined;
  /** The scopes of its host and of its credential. */
  readonly scopes: { readonly host: string; readonly credential: string };
}

export interface ScopeSnapshot {
  /** The same name as in this scope's state events. */
  readonly scope: string;
  /** The only target that it is about: whose credential it is, or who alone has the host. Undefined: none, or several. */
  readonly target?: string | undefined;
  /** Undefined if the policy is off. */
  readonly breaker: BreakerSnapshot | undefined;
  readonly budgetTokens: number | undefined;
  /** Undefined without a cache. */
  readonly cacheBytes?: number | undefined;
  /** Undefined without deduplication. */
  readonly dedupeBytes?: number | undefined;
  readonly limit: LimitSnapshot | undefined;
  readonly quota: QuotaSnapshot | undefined;
  /** Undefined if the proxy adds no credential. */
  readonly auth?: AuthSnapshot | undefined;
}

/** The credential that the proxy adds. */
export interface AuthSnapshot {
  readonly kind: string;
  /** Milliseconds until it expires; undefined if it never does, or if there is none yet. */
  readonly expiresMs?: number | undefined;
  /** Why the latest renewal failed. */
  readonly failure?: string | undefined;
}

export interface BreakerSnapshot {
  readonly state: BreakerState;
  /** The cause of this state; undefined if it has never changed. */
  readonly cause: BreakerCause | undefined;
  /** True while an operator forces the state. */
  readonly forced: boolean;
  /** Time until the next probe, in ms; undefined while closed or forced. */
  readonly retryAfterMs: number | undefined;
  /** It reports refusals, and refuses nothing. */
  readonly shadow?: true | undefined;
}

export interface LimitSnapshot {
  /** Infinity without a limit. */
  readonly limit: number;
  readonly inFlight: number;
  readonly queued: number;
  /** Attempts beyond the limit are reported, and sent. */
  readonly shadow?: true | undefined;
}

export interface QuotaSnapshot {
  /** Attempts that would wait are reported, and sent. */
  readonly shadow?: true | undefined;
  /** Waiting attempts of all credentials. */
  readonly waiting: number;
  /** Active cooldowns, of credentials and of parts of the API for a credential. */
  readonly cooldowns: number;
  /** For each bucket, the credential with the least remaining. */
  readonly scarcest: readonly BucketSnapshot[];
  /** The most recently used first; cut if there are many. */
  readonly credentials: readonly CredentialSnapshot[];
}

/** The quotas of one credential. */
export interface CredentialSnapshot {
  /** A short hash; '' for calls without a credential. */
  readonly credential: string;
  /** The calls that it covers, such as `GET /reports/*`; undefined for all calls of the credential. */
  readonly limited?: string | undefined;
  readonly waiting: number;
  readonly buckets: readonly BucketSnapshot[];
  /** Undefined if calls are not held. */
  readonly cooldown:
    | {
        readonly cause: CooldownCause;
        readonly retryAfterMs: number;
        /** The process that has reported it: another replica, or an earlier one; undefined: this one has seen the refusals. */
        readonly reportedBy?: 'replica' | 'before' | undefined;
      }
    | undefined;
}

/** The memory of quotas over a restart. */
export interface QuotaMemorySnapshot {
  /** Credentials with used units, stated limits or cooldowns that end in more than a minute. */
  readonly credentials: number;
  /** Changes that are not in the store yet. */
  readonly unwritten: number;
  /** The store could not be written. */
  readonly failing: boolean;
}

/** One quota: a configured window, or one stated by the upstream. */
export interface BucketSnapshot {
  /** `100/s`, `default`, `tokens`. */
  readonly bucket: string;
  /** The upstream's name for the resource, if one quota name covers several. */
  readonly policy: string;
  readonly limit: number | undefined;
  readonly remaining: number;
  readonly resetMs: number | undefined;
}
