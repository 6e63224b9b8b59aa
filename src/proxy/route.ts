import type { CompiledHeaderRules, RawHeaders } from '../http/headers.ts';
import type { LinkPlace } from '../http/links.ts';
import type { ProxyError } from './errors.ts';
import type { OverrideLimits } from './overrides.ts';
import type { Dispatch } from './pipeline.ts';

/** Decides which clients may use a route. */
export interface ClientCheck {
  /** Why the request is refused; undefined if it is served. `host`: the host it was made for. */
  refusal(headers: RawHeaders, host: string | undefined): ProxyError | undefined;
}

/** The tenant of a running call. It keeps its state until the call leaves it. */
export interface EnteredTenant {
  readonly name: string;
  /** The tenant's own pipeline, with its own host. */
  readonly route: Route;
  leave(): void;
}

/** Finds the tenant of a call: each has a host and policy state of its own. */
export interface TenantRoutes {
  /**
   * `named`: the text of the mount's placeholder. Throws `invalid_tenant` if the call names no tenant that is allowed, and
   * `tenants_busy` if no further tenant can be served now.
   */
  enter(named: string | undefined, headers: RawHeaders): EnteredTenant;
}

/** A route with its pipeline, built once. */
export interface Route {
  readonly upstream: string;
  readonly name: string;
  /** The path pattern by which it is found, such as `/v1/charges/:id`. */
  readonly pattern: string;
  /** Attempts of traced calls carry `traceparent`. */
  readonly propagatesTrace: boolean;
  readonly dispatch: Dispatch;
  /** A call goes through the route of its tenant instead; undefined if the upstream has no tenants. */
  readonly tenants?: TenantRoutes | undefined;
  /** Calls of this upstream from their head to their last byte, and tunnels to it. Shared by its routes. */
  readonly calls: { inFlight: number; tunnels: number };
  readonly totalTimeoutMs: number;
  /** A request body up to this size is buffered, so that it can be sent again; 0 if no policy sends it again. */
  readonly maxReplayBytes: number;
  /** Undefined if clients may not override any setting. */
  readonly overrides?: OverrideLimits | undefined;
  /** Calls change nothing at the upstream, whatever their method. */
  readonly safe?: boolean | undefined;
  /** Statuses by which the upstream reports that it processed nothing; undefined: none. */
  readonly notProcessed?: ReadonlySet<number> | undefined;
  readonly headers: CompiledHeaderRules;
  /** Names of query parameters that are added later, so that those of a client do not pass. */
  readonly dropParameters?: ReadonlySet<string> | undefined;
  /** Where clients reach the upstream's own URLs; undefined if links of replies are passed on as they are. */
  readonly links?: LinkPlace | undefined;
  /** Lower-case name of the request header with the part of the client that a call is for. */
  readonly clientPartHeader?: string | undefined;
  /** Whether a request comes from an operator, who needs no token of a client. Undefined: operators do not use the route. */
  readonly isOperator?: ((headers: RawHeaders) => boolean) | undefined;
  /** Undefined if the proxy adds no credential to the calls. */
  readonly clientCheck?: ClientCheck | undefined;
  /** If only the proxy should retry: the lower-case headers by which a reply asks SDKs not to retry. */
  readonly ownRetries: { readonly veto: readonly string[] } | undefined;
  readonly idempotency: {
    readonly mode: 'none' | 'pass' | 'inject' | 'require';
    /** Lower-case. */
    readonly header: string;
  };
  /** The durable route for clients that prefer `respond-async` (RFC 7240); undefined if there is none. */
  readonly durable?: Route | undefined;
}
