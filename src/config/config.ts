import type { DurableOptions, DurableProcess } from '../durable/options.ts';
import type { ScheduleOptions } from '../durable/schedules/options.ts';
import type { IdentityOptions } from '../http/credentials.ts';
import type { HeaderRules } from '../http/headers.ts';
import type { BreakerOptions } from '../policies/circuit-breaker/options.ts';
import type { ConcurrencyOptions } from '../policies/concurrency/options.ts';
import type { DedupeOptions } from '../policies/dedupe/options.ts';
import type { FallbackOptions } from '../policies/fallback/options.ts';
import type { HedgeOptions } from '../policies/hedge/options.ts';
import type { InspectionOptions } from '../policies/inspection/options.ts';
import type { QuotaOptions } from '../policies/quota/options.ts';
import type { CacheOptions } from '../policies/response-cache/options.ts';
import type { BackoffOptions, BudgetOptions, RetryOptions } from '../policies/retry/options.ts';
import type { OverrideLimits } from '../proxy/overrides.ts';
import type { AllowRule } from '../routing/allow-list.ts';
import type { Mount } from '../routing/router.ts';
import type { Address, ClientOptions, ServerTls, TlsVersion } from '../server/options.ts';
import type { EgressProxy } from './resolve/egress.ts';

/** A checked, complete and frozen configuration: every default filled in, every unit turned into a number. */
export interface Config {
  /** Path of the file it came from, as given. */
  readonly file: string;
  readonly listen: Address;
  /** Apps connect by HTTPS. */
  readonly tls: ServerTls | undefined;
  readonly admin: Address & { readonly token: string | undefined };
  readonly log: {
    readonly level: LogLevel;
    readonly requests: 'all' | 'notable' | 'none';
    readonly slowMs: number;
  };
  readonly clients: ClientOptions;
  /** Bodies kept for replay may take this much memory in all. */
  readonly bodyMemoryBytes: number;
  /** After SIGTERM, everything is served for this long, with readiness false. */
  readonly drainDelayMs: number;
  /** After that, running calls get this long. */
  readonly drainTimeoutMs: number;
  /** Whether replies carry the `breakwater-…` headers. */
  readonly responseHeaders: boolean;
  readonly durable: DurableProcess;
  readonly upstreams: readonly UpstreamConfig[];
  /** Requests that are made again and again. */
  readonly schedules: readonly ScheduleOptions[];
}

type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface UpstreamConfig {
  readonly name: string;
  /** `https://host[:port]`, without path. */
  readonly origin: string;
  /** Path of the URL without a trailing slash; '' for none. */
  readonly basePath: string;
  /** `${…}` had a part in the URL, so its path may be the secret of a webhook. */
  readonly privatePath: boolean;
  readonly mount: Mount;
  readonly allowPrivate: boolean;
  /** The only calls that may be sent; undefined: all. */
  readonly allow: readonly AllowRule[] | undefined;
  readonly connection: ConnectionOptions;
  /** In order; the last one, named `default`, matches everything. */
  readonly routes: readonly RouteConfig[];
}

interface ConnectionOptions {
  readonly connectTimeoutMs: number;
  /** An idle connection is closed after this, or earlier where the upstream's Keep-Alive hint says so. */
  readonly keepAliveMs: number;
  /** A connection older than this takes no new attempt, so that DNS changes are followed. */
  readonly maxAgeMs: number;
  readonly http2: 'off' | 'auto' | 'require';
  readonly proxy: EgressProxy | undefined;
  readonly tls: ClientTls;
}

interface ClientTls {
  /** PEM; trusted in place of the public ones. */
  readonly ca: string | undefined;
  /** PEM; both or none. */
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly servername: string | undefined;
  readonly minVersion: TlsVersion;
}

export interface RouteConfig {
  readonly name: string;
  /** Upper-case methods; undefined means any. */
  readonly methods: readonly string[] | undefined;
  /** Pattern below the mount: `/v1/charges/:id`, `*` one segment, `**` any rest. */
  readonly path: string;
  /** The upstream's and its own. */
  readonly headers: HeaderRules;
  readonly settings: RouteSettings;
  /** What the route itself sets, and so has to itself; otherwise it shares the one of its upstream. */
  readonly own: { readonly budget: boolean; readonly breaker: boolean; readonly concurrency: boolean };
}

export interface RouteSettings {
  /** Undefined: none is written, and an attempt may use all the time of its call. */
  readonly attemptTimeoutMs: number | undefined;
  readonly idleTimeoutMs: number;
  readonly totalTimeoutMs: number;
  /** A request body up to this size is kept so that it can be sent again. */
  readonly maxReplayBytes: number;
  readonly retry: RetryOptions;
  readonly inspection: InspectionOptions;
  /** Requests for the rest of a body that breaks; 0 for none. */
  readonly resumeAttempts: number;
  readonly budget: BudgetOptions;
  readonly breaker: BreakerOptions;
  readonly concurrency: ConcurrencyOptions;
  /** Undefined where no attempt has a second one beside it. */
  readonly hedge: HedgeOptions | undefined;
  /** Undefined where nothing stands in for the upstream. */
  readonly fallback: FallbackOptions | undefined;
  /** Undefined where clients may override nothing. */
  readonly overrides: OverrideLimits | undefined;
  readonly cache: CacheOptions;
  readonly dedupe: DedupeOptions;
  readonly quota: QuotaOptions;
  /** Names of headers and query parameters that say who calls, besides those that names tell by themselves. */
  readonly identity: IdentityOptions;
  /** No attempt leaves later than this after its call came in, because its signature grows old; undefined: any time. */
  readonly signedMaxAgeMs: number | undefined;
  /** Undefined where requests cannot be handed over. */
  readonly durable: DurableSettings | undefined;
}

export interface DurableSettings {
  readonly options: DurableOptions;
  /** Waits between attempts. */
  readonly backoff: BackoffOptions;
}
