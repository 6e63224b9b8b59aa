import { replacedBy } from '../auth/options.ts';
import type { Config, RouteConfig, RouteSettings, UpstreamConfig } from '../config/config.ts';
import { addedCredentials, clientAccessRules, knownClients } from '../config/resolve/identity.ts';
import { shownUrl } from '../config/show/effective.ts';
import type { DurableRoute } from '../durable/route.ts';
import type { ByteBudget } from '../http/byte-budget.ts';
import { compileHeaderRules, type HeaderRules } from '../http/headers.ts';
import type { LinkPlace } from '../http/links.ts';
import { pipeline } from '../policies/order.ts';
import { dispatchBy } from '../proxy/pipeline.ts';
import type { Route } from '../proxy/route.ts';
import { type MountedUpstream, type RoutePattern, Router } from '../routing/router.ts';
import { idSource } from '../runtime/random.ts';
import { atOnce, type Steps } from '../runtime/event-loop.ts';
import { ClientAccess, type ClientAccessRules } from '../server/client-access.ts';
import { ofTenant } from '../telemetry/observer.ts';
import type { UpstreamSnapshot } from '../telemetry/snapshot.ts';
import { type Agent, createAgent } from '../upstream/agent.ts';
import { attemptsBy } from './attempts.ts';
import { policiesOf } from './build-policies.ts';
import { scopeCredential } from './credentials.ts';
import { acceptingRoute, durableRoute } from './durable/durable-route.ts';
import type { DurableSide } from './durable/durable-side.ts';
import { PollRoutes } from './durable/poll-routes.ts';
import { fallbackOf, type UpstreamLink } from './fallback-upstream.ts';
import { emptyScope, PolicyState, type PolicyStateDeps, type ScopeState } from './policy-state.ts';
import { RetainedState } from './retained-state.ts';
import { type Passage, replacedByAll, Targets } from './targets.ts';
import { TenantQuotas } from './tenant-quotas.ts';
import { type ExpandedUpstream, hasTenants, Tenants, type TenantUpstream } from './tenants.ts';

export interface AssembleDeps extends PolicyStateDeps {
  readonly memory: ByteBudget;
  readonly durable: Pick<DurableSide, 'accept' | 'prefix' | 'route'>;
}

/** A running upstream, as metrics and the admin API use it. */
export interface RunningUpstream extends Pick<UpstreamSnapshot, 'name' | 'url' | 'mount' | 'faults'> {
  readonly scopes: readonly ScopeState[];
  /** Undefined if it has none. */
  readonly targets: Targets | undefined;
  readonly calls: { readonly inFlight: number; readonly tunnels: number };
  readonly connections: () => number;
  /** Closes its connections. No call can be sent after this. */
  readonly close: () => void;
  /** Undefined if all calls go to one host. */
  readonly tenants?: Tenants | undefined;
}

export interface Assembly {
  readonly router: Router<Route>;
  readonly upstreams: readonly RunningUpstream[];
  readonly durable: readonly DurableRoute[];
}

/**
 * Builds router and pipelines from a configuration. Upstreams that are unchanged are taken over as they are, and of others the
 * state whose options are unchanged. Each upstream and each new route is one step. Until the last step no running state is changed.
 */
export function* assemble(config: Config, deps: AssembleDeps): Steps<Assembly> {
  deps.state.begin();
  const links = new Map<string, UpstreamLink>();
  const linkTo = (name: string): UpstreamLink => {
    const link = links.get(name) ?? { mounted: undefined };
    links.set(name, link);
    return link;
  };
  const fresh: Built[] = [];
  const all = { ...deps, config, clients: knownClients(config), linkTo, fresh, newId: idSource() };
  const built: Built[] = [];
  for (const upstream of config.upstreams) {
    const one = yield* builtUpstream(upstream, all);
    linkTo(upstream.name).mounted = one.mounted;
    built.push(one);
    yield;
  }
  for (const { states, state } of fresh) {
    for (const one of states) one.connect();
    state.commit();
  }
  deps.state.commit();
  const durable = built.flatMap((one) => one.durable);
  // Requests that were accepted before a reload removed all durable routes can still be queried.
  const asked = durable.length > 0 || deps.durable.prefix !== undefined;
  const own = asked ? ownMount(config.durable.prefix, deps.durable.route()) : undefined;
  return {
    router: new Router(
      built.map(({ mounted }) => mounted),
      own,
    ),
    upstreams: built.map(({ running }) => running),
    durable,
  };
}

/** Everything of the configuration that the routes of an upstream are built from. Fallbacks cannot be chained. */
function sourcesOf(upstream: UpstreamConfig, { config, clients }: Pick<Deps, 'config' | 'clients'>) {
  const names = fallbackNames(upstream);
  const fallbacks = names.length === 0 ? [] : config.upstreams.filter(({ name }) => names.includes(name));
  return { upstream, fallbacks, clients };
}

const fallbackNames = ({ routes }: UpstreamConfig): string[] =>
  routes.flatMap(({ settings: { fallback } }) => fallback?.upstreams.map((to) => to.upstream) ?? []);

/** The upstream as it runs if nothing changed that it is built from, else a new one. */
function* builtUpstream(upstream: UpstreamConfig, deps: Deps): Steps<Built> {
  const { name } = upstream;
  const sources = sourcesOf(upstream, deps);
  const state = deps.state.retain(`${name} state`, undefined, () => new RetainedState());
  const running = deps.state.find<Built>(`${name} routes`, sources);
  if (running !== undefined) return deps.state.retain(`${name} routes`, sources, () => running);
  const built = yield* assembleUpstream(upstream, { ...deps, state });
  deps.fresh.push(built);
  return deps.state.retain(`${name} routes`, sources, () => built);
}

interface Deps extends AssembleDeps {
  readonly config: Pick<Config, 'upstreams'>;
  readonly clients: ClientAccessRules;
  readonly newId: () => string;
  readonly linkTo: (upstream: string) => UpstreamLink;
  /** The upstreams that did not run before. */
  readonly fresh: Built[];
}

interface UpstreamDeps extends Deps {
  /** Which clients may use the upstream's credentials; the same for all its routes. */
  readonly access: () => ClientAccess;
  /** Compiled header rules, once for all routes that share them. */
  readonly rulesOf: (config: RouteConfig) => Route['headers'];
  /** Where the secrets of credentials are retained: all tenants of an upstream have the same. */
  readonly secrets: RetainedState;
  /** The tenant that the routes are for; '' if the upstream has no tenants. */
  readonly tenant: string;
}

/** The mount for status and results of durable requests, below `prefix`. */
function ownMount(prefix: string, route: Route) {
  const routes = [{ methods: undefined, path: '/**', route }];
  return { mount: { path: prefix }, basePath: prefix, allow: undefined, routes };
}

interface Built {
  readonly mounted: MountedUpstream<Route>;
  readonly running: RunningUpstream;
  readonly durable: readonly DurableRoute[];
  readonly policyState: PolicyState;
  /** That of the upstream, and of its targets. */
  readonly states: readonly PolicyState[];
  /** Where its attempts go. */
  readonly destination: Agent | Targets;
  /** State of this upstream, which its next version takes over. */
  readonly state: RetainedState;
}

function* assembleUpstream(upstream: UpstreamConfig, deps: Deps): Steps<Built> {
  const access = once(() => new ClientAccess(clientAccessRules(deps.clients, upstream)));
  const shared = { ...deps, access, rulesOf: compiledRules(upstream), secrets: deps.state, tenant: '' };
  const built = yield* assembleRoutes(upstream, shared);
  return hasTenants(upstream) ? withTenants(upstream, built, shared) : built;
}

/** Compiles header rules once for all routes that share them. */
function compiledRules({ routes, targets }: UpstreamConfig): UpstreamDeps['rulesOf'] {
  const compiled = new Map<HeaderRules, Route['headers']>();
  return (route) => {
    const { headers, own, settings } = route;
    if (targets !== undefined)
      return compileHeaderRules(headers, replacedByAll(targets, routes.indexOf(route), route));
    if (own.auth) return compileHeaderRules(headers, replacedHeaders(settings));
    const known = compiled.get(headers) ?? compileHeaderRules(headers, replacedHeaders(settings));
    compiled.set(headers, known);
    return known;
  };
}

/** An upstream with the state and the connections of one host. */
function* assembleRoutes(upstream: UpstreamConfig, deps: UpstreamDeps): Steps<Built> {
  const { name, origin, basePath, mount, allowPrivate } = upstream;
  deps.state.begin();
  const connection = { ...upstream.connection, allowPrivate };
  // A reload does not close the old agent, because calls that use it may be in backoff. Its idle connections end by their
  // keep-alive time.
  const agent = () =>
    deps.state.retain(`${name} agent`, { origin, connection }, () =>
      createAgent(origin, connection, { clock: deps.clock }),
    );
  const calls = deps.state.retain(`${name} calls`, undefined, () => ({ inFlight: 0, tunnels: 0 }));
  // Nothing else of `deps`, here and below: what outlives a reload would hold the old configuration and all its routes in memory.
  const { clock, random, observer, state, quotas, draining, fleet, memories, shareOf, budgetOf } = deps;
  const stateDeps = { clock, random, observer, state, quotas, draining, fleet, memories, shareOf, budgetOf };
  const policyState = new PolicyState(upstream, stateDeps);
  const targets =
    upstream.targets && new Targets(upstream, upstream.targets, { ...stateDeps, memory: deps.memory });
  const destination = targets ?? agent();
  const durable: DurableRoute[] = [];
  const polls = new PollRoutes(upstream);
  const routes: RoutePattern<Route>[] = [];
  for (const [index, config] of upstream.routes.entries()) {
    const passage =
      destination instanceof Targets
        ? destination.passage(index, config, policyState)
        : passageTo(destination, { upstream, config, policyState }, deps);
    const built = assembleRoute({ upstream, config, policyState, calls, passage, polls }, deps);
    if (built.durable !== undefined) durable.push(built.durable);
    routes.push({ methods: config.methods, path: config.path, route: built.route });
    yield;
  }
  const states = [policyState, ...(targets?.states ?? [])];
  const running = runningUpstream(upstream, { destination, calls, policyState, states });
  return {
    mounted: { mount, basePath, allow: upstream.allow, routes },
    running,
    durable,
    policyState,
    states,
    destination,
    state,
  };
}

/**
 * The upstream whose routes lead calls to their tenants. Nothing is sent through its own connections. Its retry budget is that of all
 * tenants: a budget for each would let an outage of the provider cost as many retries as there are tenants.
 */
function withTenants(upstream: TenantUpstream, built: Built, deps: UpstreamDeps): Built {
  const { running, mounted, durable, policyState } = built;
  const { clock, observer } = deps;
  const budgetOf = (route: RouteConfig) => policyState.budget(route);
  const quotas = deps.state.retain(`${upstream.name} tenants`, undefined, () => new TenantQuotas());
  const lasting = { ...lastingDeps(upstream, deps), calls: running.calls, budgetOf };
  const tenants = new Tenants(upstream, {
    clock,
    observer,
    quotas,
    expand: (expanded, tenant) => {
      const own = quotas.of(tenant, upstream.tenants.max);
      return expandedUpstream(expanded, tenant, { ...lasting, quotas: own });
    },
  });
  const routes = mounted.routes.map((pattern, index) => ({
    ...pattern,
    route: { ...pattern.route, tenants: tenants.routesAt(index) },
  }));
  return {
    ...built,
    mounted: { ...mounted, routes },
    durable: durable.map((route) => ({ ...route, forTenant: (name) => tenants.durable(route, name) })),
    running: {
      ...running,
      tenants,
      scopes: policyState
        .all()
        .map(({ name, budget, credential }) => ({ ...emptyScope(name), budget, credential })),
      connections: () =>
        [...tenants].reduce((sum, { expanded }) => sum + expanded.connections(), running.calls.tunnels),
      close: () => {
        running.close();
        tenants.close();
      },
    },
  };
}

/** The parts that build a tenant, without the rest of the configuration: they outlive reloads. */
function lastingDeps(upstream: UpstreamConfig, deps: UpstreamDeps): UpstreamDeps {
  const links = new Map(fallbackNames(upstream).map((name) => [name, deps.linkTo(name)]));
  const { fallbacks } = sourcesOf(upstream, deps);
  return {
    ...deps,
    config: { upstreams: [upstream, ...fallbacks] },
    linkTo: (name) => links.get(name) ?? { mounted: undefined },
    fresh: [],
  };
}

/** The state of one tenant. Steps would let calls wait for it. */
function expandedUpstream(
  upstream: UpstreamConfig,
  tenant: string,
  deps: UpstreamDeps & Pick<RouteParts, 'calls'> & { readonly quotas: RetainedState },
): ExpandedUpstream {
  const { quotas } = deps;
  const state = new RetainedState();
  state.retain(`${upstream.name} calls`, undefined, () => deps.calls);
  state.commit();
  const own = { ...deps, state, tenant, observer: ofTenant(deps.observer, tenant) };
  quotas.begin();
  const { mounted, durable, policyState, destination } = atOnce(assembleRoutes(upstream, own));
  policyState.connect();
  quotas.commit();
  return {
    routes: mounted.routes.map(({ route }) => route),
    durable,
    policyState,
    connections: () => destination.connections(),
    close: () => destination.close(),
  };
}

/** All policy state of an upstream, that of its tenants included. */
export function* scopesOf({ scopes, tenants }: RunningUpstream): Generator<ScopeState> {
  yield* scopes;
  for (const { expanded } of tenants ?? []) yield* expanded.policyState.all();
}

/** A function of its own, so that its closures hold nothing else of the assembly. */
function runningUpstream(
  upstream: UpstreamConfig,
  {
    destination,
    calls,
    policyState,
    states,
  }: Pick<RouteParts, 'calls' | 'policyState'> & Pick<Built, 'destination' | 'states'>,
): RunningUpstream {
  const { name, mount } = upstream;
  const targets = destination instanceof Targets ? destination : undefined;
  const scopes = states.flatMap((one) => one.all());
  return {
    name,
    url: shownUrl(upstream),
    mount: 'path' in mount ? mount.path : `Host: ${mount.host}`,
    faults: upstream.routes.some(({ settings }) => settings.faults !== undefined) || undefined,
    scopes,
    targets,
    calls,
    connections: () => destination.connections() + calls.tunnels,
    close: () => {
      policyState.endDetached();
      for (const { credential } of scopes) credential?.close?.();
      destination.close();
    },
  };
}

/** How calls of a route pass to the one host of its upstream. */
function passageTo(
  agent: Agent,
  { upstream, config, policyState }: Pick<RouteParts, 'upstream' | 'config' | 'policyState'>,
  deps: UpstreamDeps,
): Passage {
  const { settings } = config;
  const policies = policiesOf(config, policyState, {
    ...deps,
    credential: policyState.credential(config, (auth, scope) =>
      scopeCredential(
        { auth, endpoint: settings.authEndpoint, upstream, scope },
        { ...deps, state: deps.secrets },
      ),
    ),
  });
  return {
    policies,
    dispatch: attemptsBy(agent, upstream.origin, config, deps),
    permits: policyState.limiter(config).limit,
  };
}

interface RouteParts {
  readonly upstream: UpstreamConfig;
  readonly config: RouteConfig;
  readonly policyState: PolicyState;
  readonly calls: Route['calls'];
  readonly passage: Passage;
  readonly polls: PollRoutes;
}

function assembleRoute(
  { upstream, config, policyState, calls, passage, polls }: RouteParts,
  deps: UpstreamDeps,
) {
  const { name, settings } = config;
  const { totalTimeoutMs, maxReplayBytes, retry, overrides } = settings;
  const { policies, dispatch, permits } = passage;
  const route: Route = {
    upstream: upstream.name,
    name,
    pattern: config.path,
    // A signature may cover the fields, so none is added.
    propagatesTrace: settings.signedMaxAgeMs === undefined && !config.headers.remove.includes('traceparent'),
    dispatch: pipeline({ ...policies, fallback: fallbackOf(config, upstream.basePath, deps) }, dispatch),
    calls,
    totalTimeoutMs,
    maxReplayBytes: sendsAgain(settings) || upstream.targets !== undefined ? maxReplayBytes : 0,
    overrides,
    safe: retry.safe,
    notProcessed: retry.notProcessed,
    clientPartHeader: settings.clientPartHeader,
    headers: deps.rulesOf(config),
    dropParameters: settings.auth && replacedBy(settings.auth).parameters,
    links: settings.rewriteLinks ? linkPlaceOf(upstream) : undefined,
    clientCheck: clientCheckOf(config, upstream, deps),
    ownRetries: retry.limitClientRetries && retry.attempts > 1 ? { veto: retry.vetoHeaders } : undefined,
    idempotency: { mode: retry.idempotencyKey, header: retry.idempotencyHeader },
  };
  const budget = policyState.budget(config);
  const { clock, random } = deps;
  const { places: targets } = polls;
  const side = { clock, random, route, config, policies, budget, limit: permits, dispatch, targets };
  polls.add(side);
  const durable = durableRoute({ ...side, polls: polls.of(config) });
  if (durable === undefined) return { route, durable };
  const { accept: submit } = deps.durable;
  const { tenant } = deps;
  const accept = dispatchBy((call, { signal }) => submit(durable.name, call, { signal, tenant }));
  return { route: { ...route, durable: acceptingRoute(route, durable, accept) }, durable };
}

/** The client check of a route; undefined if the proxy adds no credential to its calls, so that there is nothing to protect. */
function clientCheckOf(
  route: RouteConfig,
  upstream: UpstreamConfig,
  { config, access }: Pick<UpstreamDeps, 'config' | 'access'>,
): ClientAccess | undefined {
  return addedCredentials(route, upstream, config.upstreams).length === 0 ? undefined : access();
}

function linkPlaceOf({ origin, basePath, mount }: UpstreamConfig): LinkPlace {
  return { origin, basePath, mount: 'path' in mount ? mount.path : '' };
}

/** A signature covers the body, and a call is sent once more with a new token. */
const needsBody = (auth: RouteSettings['auth']): boolean => auth?.kind === 'sigv4' || auth?.kind === 'oauth2';

const replacedHeaders = ({ auth }: RouteSettings) => auth && replacedBy(auth).headers;

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/** Whether a policy of the route may repeat a request body, or read it. */
function sendsAgain({ auth, retry, overrides, fallback, dedupe, quota }: RouteSettings): boolean {
  if (needsBody(auth)) return true;
  if (retry.attempts > 1 || (overrides?.attempts ?? 1) > 1) return true;
  if (dedupe.windowMs !== undefined) return true;
  if (quota.cost.pointer !== undefined || quota.scope.startsWith('/')) return true;
  return fallback !== undefined && fallback.upstreams.length > 0;
}
