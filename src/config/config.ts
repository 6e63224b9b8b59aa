import type { HeaderRules } from '../http/headers.ts';
import type { BreakerOptions } from '../policies/circuit-breaker/options.ts';
import type { ConcurrencyOptions } from '../policies/concurrency/options.ts';
import type { Mount } from '../proxy/router.ts';
import type { EgressProxy } from './egress.ts';
import type { BudgetOptions, RetryOptions } from '../policies/retry/options.ts';

/** A checked, complete and frozen configuration: every default filled in, every unit turned into a number. */
export interface Config {
  /** Path of the file it came from, as given. */
  readonly file: string;
  /** All files that it was made from, as given or beside `file`; a change of one is a change of the configuration. */
  readonly files: readonly string[];
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
  readonly replayMemoryBytes: number;
  /** After SIGTERM, running calls get this long. */
  readonly drainTimeoutMs: number;
  /** Whether replies carry the `breakwater-…` headers. */
  readonly responseHeaders: boolean;
  readonly upstreams: readonly UpstreamConfig[];
}

/** What apps may do to us. */
export interface ClientOptions {
  /** From the connection, or the first byte of a later request, to the end of its head. */
  readonly headTimeoutMs: number;
  /** Gap in a request's body. */
  readonly bodyTimeoutMs: number;
  readonly maxConnections: number;
}

type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface UpstreamConfig {
  readonly name: string;
  /** `https://host[:port]`, without path. */
  readonly origin: string;
  /** Path of the URL without a trailing slash; '' for none. */
  readonly basePath: string;
  readonly mount: Mount;
  readonly allowPrivate: boolean;
  readonly headers: HeaderRules;
  readonly connection: ConnectionOptions;
  /** In order; the last one, named `default`, matches everything. */
  readonly routes: readonly RouteConfig[];
}

/** PEM texts. */
export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: TlsVersion;
}

type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

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
  readonly settings: RouteSettings;
  /** What the route itself sets, and so has to itself; otherwise it shares the one of its upstream. */
  readonly own: { readonly budget: boolean; readonly breaker: boolean; readonly concurrency: boolean };
}

export interface RouteSettings {
  readonly attemptTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly totalTimeoutMs: number;
  /** A request body up to this size is kept so that it can be sent again. */
  readonly maxReplayBytes: number;
  readonly retry: RetryOptions;
  readonly budget: BudgetOptions;
  readonly breaker: BreakerOptions;
  readonly concurrency: ConcurrencyOptions;
}
