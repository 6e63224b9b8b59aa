import { LRUCache } from 'lru-cache';
import type { BreakerForce } from '../admin/deps.ts';
import type { TenantOptions, UpstreamConfig } from '../config/config.ts';
import type { DurableRoute } from '../durable/route.ts';
import { filled } from '../http/host-template.ts';
import { headersOf, type RawHeaders } from '../http/headers.ts';
import { ProxyError } from '../proxy/errors.ts';
import type { Send } from '../proxy/pipeline.ts';
import type { EnteredTenant, Route, TenantRoutes } from '../proxy/route.ts';
import { TenantNames, tenantRule } from '../routing/tenant-names.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Observer } from '../telemetry/call-record.ts';
import type { PolicyState } from './policy-state.ts';
import type { TenantQuotas } from './tenant-quotas.ts';

/** Retry-After while every tenant in memory has calls. */
const BUSY_RETRY_MS = 1_000;

/** An upstream whose placeholder is filled: the routes in the order of the configuration, with state of their own. */
export interface ExpandedUpstream {
  readonly routes: readonly Route[];
  readonly durable: readonly DurableRoute[];
  readonly policyState: PolicyState;
  readonly connections: () => number;
  /** Closes idle connections. */
  readonly close: () => void;
}

/** A tenant that has its state in memory. */
export interface Tenant {
  readonly name: string;
  readonly expanded: ExpandedUpstream;
  /** Calls and durable attempts that use it now. */
  calls: number;
}

export interface TenantsDeps {
  readonly clock: Clock;
  readonly observer: Pick<Observer, 'stateChanged'>;
  readonly quotas: TenantQuotas;
  readonly expand: (upstream: UpstreamConfig, tenant: string) => ExpandedUpstream;
}

/** An upstream with a placeholder in its URL. */
export interface TenantUpstream extends UpstreamConfig {
  readonly tenants: TenantOptions;
}

export const hasTenants = (upstream: UpstreamConfig): upstream is TenantUpstream =>
  upstream.tenants !== undefined;

/**
 * The tenants of an upstream. Each is the whole upstream once more, with its own host, and so with a breaker, limits, quotas, a cache
 * and connections of its own. A tenant is made by its first call. Without a free place, the least recently used one without calls
 * leaves.
 */
export class Tenants {
  readonly #upstream: TenantUpstream;
  readonly #deps: TenantsDeps;
  readonly #names: TenantNames;
  readonly #known: LRUCache<string, Tenant>;
  #forced: BreakerForce = 'auto';

  constructor(upstream: TenantUpstream, deps: TenantsDeps) {
    this.#upstream = upstream;
    this.#deps = deps;
    this.#names = new TenantNames({ ...upstream, ...upstream.tenants });
    this.#known = new LRUCache({ max: upstream.tenants.max });
  }

  /** Those in memory, the most recently used first. */
  *[Symbol.iterator](): Generator<Tenant> {
    yield* this.#known.values();
  }

  get size(): number {
    return this.#known.size;
  }

  get max(): number {
    return this.#upstream.tenants.max;
  }

  /** The door of the route number `index`. */
  routesAt(index: number): TenantRoutes {
    return { enter: (named, headers) => this.#enter(index, this.#nameOf(named, headers)) };
  }

  /** The tenant of that name. Its call must leave it. Undefined if it is not allowed; throws `tenants_busy`. */
  take(text: string): Tenant | undefined {
    const name = this.#names.read(text);
    if (name === undefined) return undefined;
    const tenant = this.#known.get(name) ?? this.#create(name);
    tenant.calls++;
    return tenant;
  }

  /** The durable route of a tenant; undefined if the name is not allowed. `route` is that of the upstream. */
  durable(route: DurableRoute, name: string): DurableRoute | undefined {
    try {
      const tenant = this.take(name);
      if (tenant === undefined) return undefined;
      tenant.calls--;
      const own = tenant.expanded.durable.find((one) => one.name === route.name) as DurableRoute;
      return { ...own, send: staying(tenant, own.send) };
    } catch (error) {
      // No further tenant has room: the request waits, as for a permit.
      return { ...route, send: () => Promise.reject(error) };
    }
  }

  /** An operator's state of all breakers, those of later tenants included. `auto` ends it. */
  force(force: BreakerForce): void {
    this.#forced = force;
    for (const { expanded } of this.#known.values()) this.#forceAll(expanded.policyState, force);
  }

  #forceAll(policyState: PolicyState, force: BreakerForce): void {
    const now = this.#deps.clock.now();
    for (const { breakerHandle } of policyState.all()) breakerHandle?.breaker?.force(force, now);
  }

  /** An operator resets the quotas. Those of tenants that no call has needed since a reload are forgotten. */
  forgetQuotas(): void {
    this.#deps.quotas.keep((name) => this.#known.has(name));
  }

  close(): void {
    for (const { expanded } of this.#known.values()) {
      expanded.policyState.endDetached();
      expanded.close();
    }
  }

  #enter(index: number, text: string): EnteredTenant {
    const tenant = this.take(text);
    if (tenant === undefined)
      throw new ProxyError('invalid_tenant', `${this.#source()} ${tenantRule(this.#upstream.tenants)}`);
    const { name, expanded } = tenant;
    return { name, route: expanded.routes[index] as Route, leave: () => void tenant.calls-- };
  }

  #nameOf(named: string | undefined, headers: RawHeaders): string {
    const { header } = this.#upstream.tenants;
    if (header === undefined) return named ?? '';
    const [value = '', ...more] = headersOf(headers, header);
    if (value !== '' && more.length === 0) return value;
    const what = value === '' ? 'is missing' : 'is there more than once';
    throw new ProxyError('invalid_tenant', `the header ${header}, which names the tenant, ${what}`);
  }

  #source(): string {
    const { header, placeholder } = this.#upstream.tenants;
    if (header !== undefined) return `the header ${header}`;
    return 'path' in this.#upstream.mount
      ? `the path segment {${placeholder}}`
      : `the host label {${placeholder}}`;
  }

  #create(name: string): Tenant {
    if (this.#known.size >= this.max) this.#makeRoom();
    const upstream = expandedConfig(this.#upstream, name, this.#names.originOf(name));
    const tenant: Tenant = { name, expanded: this.#deps.expand(upstream, name), calls: 0 };
    if (this.#forced !== 'auto') this.#forceAll(tenant.expanded.policyState, this.#forced);
    this.#known.set(name, tenant);
    return tenant;
  }

  #makeRoom(): void {
    for (const name of this.#known.rkeys()) {
      const { calls, expanded } = this.#known.peek(name) as Tenant;
      if (calls > 0 || expanded.policyState.detached > 0) continue;
      this.#known.delete(name);
      this.#deps.quotas.forget(name);
      expanded.close();
      const upstream = this.#upstream.name;
      return this.#deps.observer.stateChanged(upstream, {
        type: 'tenant_left',
        scope: upstream,
        tenant: name,
      });
    }
    throw new ProxyError(
      'tenants_busy',
      `${this.max} tenants have calls at the same time, which is tenant.max; raise it if there is memory`,
      { retryAfterMs: BUSY_RETRY_MS },
    );
  }
}

/** Sends so that the tenant keeps its state until the reply has ended. */
function staying(tenant: Tenant, send: Send): Send {
  return async (call, attempt) => {
    tenant.calls++;
    try {
      const reply = await send(call, attempt);
      reply.body.onEnd(() => void tenant.calls--);
      return reply;
    } catch (error) {
      tenant.calls--;
      throw error;
    }
  };
}

/** The upstream of one tenant: a normal one, with a host of its own. */
function expandedConfig(upstream: TenantUpstream, name: string, origin: string): UpstreamConfig {
  const { mount, tenants } = upstream;
  const value = { [tenants.placeholder]: name };
  return {
    ...upstream,
    origin,
    tenants: undefined,
    mount: 'path' in mount ? { path: filled(mount.path, value) } : { host: filled(mount.host, value) },
  };
}
