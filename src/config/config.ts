import type { AuthOptions } from '../auth/options.ts';
import type { DurableOptions, DurableProcess } from '../durable/options.ts';
import type { ScheduleOptions } from '../durable/schedules/options.ts';
import type { SharedOptions } from '../fleet/options.ts';
import type { IdentityOptions } from '../http/credentials.ts';
import type { HeaderRules } from '../http/headers.ts';
import type { BreakerOptions } from '../policies/circuit-breaker/options.ts';
import type { ConcurrencyOptions } from '../policies/concurrency/options.ts';
import type { DedupeOptions } from '../policies/dedupe/options.ts';
import type { FallbackOptions } from '../policies/fallback/options.ts';
import type { HedgeOptions } from '../policies/hedge/options.ts';
import type { ErrorRuleOptions } from '../policies/error-rules/options.ts';
import type { QuotaOptions } from '../policies/quota/options.ts';
import type { CacheOptions } from '../policies/response-cache/options.ts';
import type { BackoffOptions, BudgetOptions, RetryOptions } from '../policies/retry/options.ts';
import type { StreamOptions } from '../policies/stream/options.ts';
import type { BodyChange, TargetOptions } from '../policies/targets/options.ts';
import type { ConnectionOptions } from '../proxy/connection-options.ts';
import type { FaultOptions } from '../proxy/fault.ts';
import type { OverrideLimits } from '../proxy/overrides.ts';
import type { AllowList } from '../routing/allow-list.ts';
import type { Mount } from '../routing/router.ts';
import type { Address, ClientOptions, ServerTls } from '../server/options.ts';
import type { EventOptions } from '../telemetry/operator-events/options.ts';
import type { TracingOptions } from '../telemetry/tracing/options.ts';

/** A checked, complete and frozen configuration: every default filled in, every unit turned into a number. */
export interface Config {
  /** Path of the file it came from, as given. */
  readonly file: string;
  readonly listen: Address;
  /** Undefined: apps connect without TLS. */
  readonly tls: ServerTls | undefined;
  readonly admin: Address & { readonly token: string | undefined };
  /** Where metrics and probes alone are served; undefined: nowhere but on the admin address. */
  readonly metrics: (Address & { readonly token: string | undefined }) | undefined;
  readonly log: {
    readonly level: LogLevel;
    readonly requests: 'all' | 'notable' | 'none';
    readonly slowMs: number;
    /** The recorded part of a call's path: all of it, or the pattern of its route. */
    readonly path: 'full' | 'route';
  };
  /** Undefined: calls are not traced. */
  readonly tracing: TracingOptions | undefined;
  /** Undefined: operators get no events. */
  readonly events: EventOptions | undefined;
  readonly clients: ClientOptions;
  /** Memory for all buffered bodies together. */
  readonly bodyMemoryBytes: number;
  /** After SIGTERM, calls are accepted for this long, while readiness is false. */
  readonly drainDelayMs: number;
  /** After that, running calls may take this long. */
  readonly drainTimeoutMs: number;
  /** Whether replies carry the `breakwater-…` headers. */
  readonly responseHeaders: boolean;
  readonly durable: DurableProcess;
  /** Undefined: each process counts alone. */
  readonly shared: SharedOptions | undefined;
  readonly upstreams: readonly UpstreamConfig[];
  /** Requests that are sent on a schedule. */
  readonly schedules: readonly ScheduleOptions[];
}

type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface UpstreamConfig {
  readonly name: string;
  /** `https://host[:port]`, without path. With `tenants`, its host has a placeholder. */
  readonly origin: string;
  /** How calls name their tenant; undefined: all calls go to the same host. */
  readonly tenants: TenantOptions | undefined;
  /** Path of the URL without a trailing slash; '' for none. */
  readonly basePath: string;
  /** A part of the URL came by `${…}`, so its path may be the secret of a webhook. */
  readonly privatePath: boolean;
  readonly mount: Mount;
  readonly allowPrivate: boolean;
  /** The only calls that may be sent; undefined: all. */
  readonly allow: AllowList | undefined;
  readonly connection: ConnectionOptions;
  /** In order; the last one, named `default`, matches everything. */
  readonly routes: readonly RouteConfig[];
  /** The keys or hosts that attempts go to; undefined: to `origin`. */
  readonly targets: readonly TargetConfig[] | undefined;
  /** Lower-case name of the header whose value decides the target of a call; undefined: none. */
  readonly sticky: string | undefined;
}

/** A key or a host of an upstream. */
export interface TargetConfig
  extends TargetOptions,
    Pick<UpstreamConfig, 'origin' | 'basePath' | 'privatePath' | 'allowPrivate' | 'connection'> {
  readonly body: { readonly set: readonly BodyChange[] };
  /** The routes of the upstream with the settings of this target, in the same order. */
  readonly routes: readonly RouteConfig[];
}

/** Each tenant of an upstream has a host of its own. */
export interface TenantOptions {
  /** Name of the placeholder in `origin`, and in the mount unless a header names the tenant. */
  readonly placeholder: string;
  /** Lower-case name of the header that names the tenant; undefined: the mount does. */
  readonly header: string | undefined;
  /** Regular expression (RE2) for allowed values; undefined: any. */
  readonly matches: string | undefined;
  /** A value may be several labels. */
  readonly dots: boolean;
  /** Tenants with state of their own. */
  readonly max: number;
}

/** A server that is called by the proxy itself, under the policies of an upstream. */
export interface EndpointConfig extends Pick<UpstreamConfig, 'origin' | 'allowPrivate' | 'connection'> {
  /** Path and query. */
  readonly target: string;
  readonly route: RouteConfig;
}

export interface RouteConfig {
  readonly name: string;
  /** Upper-case methods; undefined means any. */
  readonly methods: readonly string[] | undefined;
  /** Pattern below the mount: `/v1/charges/:id`, `*` one segment, `**` any rest. */
  readonly path: string;
  /** Rules of the upstream and of the route. */
  readonly headers: HeaderRules;
  readonly settings: RouteSettings;
  readonly own: OwnState;
}

/** True for the policy state that a route has for itself. It shares the rest with all routes of its upstream. */
export interface OwnState {
  readonly budget: boolean;
  readonly breaker: boolean;
  readonly concurrency: boolean;
  readonly quota: boolean;
  readonly cache: boolean;
  readonly dedupe: boolean;
  readonly auth: boolean;
}

export interface RouteSettings {
  /** Undefined: an attempt may take all the time of its call. */
  readonly attemptTimeoutMs: number | undefined;
  readonly idleTimeoutMs: number;
  readonly totalTimeoutMs: number;
  /** A request body up to this size is buffered, so that it can be sent again. */
  readonly maxReplayBytes: number;
  readonly retry: RetryOptions;
  readonly errorRules: ErrorRuleOptions;
  /** Undefined: streams are passed on as they come. */
  readonly stream: StreamOptions | undefined;
  /** How often the rest of a broken response body is requested; 0: never. */
  readonly resumeAttempts: number;
  readonly budget: BudgetOptions;
  readonly breaker: BreakerOptions;
  readonly concurrency: ConcurrencyOptions;
  /** Undefined: no hedging. */
  /** `stuck`: a second attempt is sent only for a stuck one. */
  readonly hedge: HedgeOptions | 'stuck' | undefined;
  /** Undefined: no fallback. */
  readonly fallback: FallbackOptions | undefined;
  /** Undefined: no faults are injected. */
  readonly faults: FaultOptions | undefined;
  /** Undefined: clients may override nothing. */
  readonly overrides: OverrideLimits | undefined;
  readonly cache: CacheOptions;
  readonly dedupe: DedupeOptions;
  readonly quota: QuotaOptions;
  /** The credential that the proxy adds; undefined: none. */
  readonly auth: AuthOptions | undefined;
  /** The issuer of the credential; undefined if it needs none. */
  readonly authEndpoint: EndpointConfig | undefined;
  /** Lower-case name of a request header. Calls with different values take turns in the queues; undefined: only clients do. */
  readonly clientPartHeader: string | undefined;
  /** URLs of the upstream in response headers become paths of the mount. */
  readonly rewriteLinks: boolean;
  /** More names of headers and query parameters that identify the caller. */
  readonly identity: IdentityOptions;
  /** No attempt is sent later than this after its call arrived, because its signature expires; undefined: no limit. */
  readonly signedMaxAgeMs: number | undefined;
  /** Undefined: the route does not accept durable requests. */
  readonly durable: DurableSettings | undefined;
}

export interface DurableSettings {
  readonly options: DurableOptions;
  /** Waits between attempts. */
  readonly backoff: BackoffOptions;
}
