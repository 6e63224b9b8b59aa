import type { Config, RouteConfig, UpstreamConfig } from '../config/config.ts';
import type { Good } from '../config/load.ts';
import { isDurable, remembersQuotas } from '../config/resolve/durable.ts';
import { addedCredentials, clientAccessRules, knownClients } from '../config/resolve/identity.ts';
import { formatPercentage } from '../config/fields/format.ts';
import {
  authValues,
  headerValues,
  isWritten,
  routeValues,
  shownUrl,
  shownStore,
  upstreamValues,
} from '../config/show/effective.ts';
import type { NamedClient } from '../proxy/client.ts';
import { isRead } from '../proxy/call.ts';
import { Router } from '../routing/router.ts';
import { TenantNames, tenantRule } from '../routing/tenant-names.ts';
import { CONFIG_OPTION, loadFor, printProblems, readArgs } from './args.ts';
import { durablePlan } from './durable-plan.ts';
import { describe } from './explain-text.ts';
import type { Explanation, PolicyState } from './explanation.ts';
import type { Command } from './io.ts';
import { longestFailedAttempt, retryRules, retrySchedule } from './retry-plan.ts';
import { streamPlan } from './stream-plan.ts';

const USAGE = {
  text: `Usage: breakwater explain METHOD PATH [--config FILE] [--host HOST] [--tenant NAME] [--changed] [--json]

Shows what the proxy would do with a request: its route, its upstream, all values in effect and where they are set,
when the request is retried, and after which waits. PATH is the path as the app sends it (/stripe/v1/charges), or a URL.

  -c, --config FILE   the configuration (default config.yaml)
      --host HOST     Host of the request, for upstreams that are mounted by host
      --tenant NAME   the tenant, for upstreams whose calls name it in a header
      --changed       only the values that are not built in
      --json          print JSON
  -h, --help          this text

Exit codes: 0 success, 1 no route matches or the configuration has problems, 2 wrong usage.
`,
  options: {
    ...CONFIG_OPTION,
    host: { type: 'string' },
    tenant: { type: 'string' },
    changed: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
  words: ['METHOD', 'PATH'],
} as const;

export const explain: Command = async (args, io) => {
  const called = readArgs(args, USAGE, io);
  if ('exit' in called) return called.exit;
  const { changed, config: file, host, json, tenant } = called.values;
  const [method = '', path = ''] = called.words;
  const loaded = loadFor(io, file);
  if (!loaded.ok) {
    printProblems(loaded.problems, io);
    return 1;
  }
  const request = { ...requestOf(method, path, host), tenant };
  const found = find(loaded, request);
  if ('why' in found) {
    io.err(`${request.method} ${request.target}: ${found.why}\n`);
    return 1;
  }
  const whole = explanationOf(loaded, request.method, found);
  const explanation = changed ? { ...whole, values: whole.values.filter(isWritten) } : whole;
  io.out(json ? `${JSON.stringify(explanation, null, 2)}\n` : describe(explanation));
  return 0;
};

interface Request {
  readonly method: string;
  readonly host: string | undefined;
  readonly target: string;
  readonly tenant: string | undefined;
}

function requestOf(method: string, path: string, host: string | undefined): Omit<Request, 'tenant'> {
  const url = /^https?:\/\//i.test(path) ? URL.parse(path) : null;
  // Methods are case-sensitive, but a user who types `get` means GET.
  const upper = method.toUpperCase();
  if (url === null) return { method: upper, host, target: path };
  return { method: upper, host: host ?? url.host, target: `${url.pathname}${url.search}` };
}

interface Found {
  readonly upstream: UpstreamConfig;
  readonly route: RouteConfig;
  readonly target: string;
  /** Undefined if the upstream has no tenants, or the request does not name one. */
  readonly tenant: string | undefined;
}

function find({ config }: Good, request: Request): Found | { readonly why: string } {
  const { method, host, target } = request;
  const router = new Router(
    config.upstreams.map((upstream) => ({
      mount: upstream.mount,
      basePath: upstream.basePath,
      allow: upstream.allow,
      routes: upstream.routes.map((route) => ({
        methods: route.methods,
        path: route.path,
        route: { upstream, route },
      })),
    })),
  );
  const match = router.match(method, host, target);
  if (match.kind !== 'route') return { why: match.why };
  const { upstream } = match.route;
  const named = match.tenant ?? request.tenant;
  if (upstream.tenants === undefined || named === undefined)
    return { ...match.route, target: match.target, tenant: undefined };
  const tenant = namesOf(upstream)?.read(named);
  if (tenant === undefined)
    return { why: `invalid_tenant: the name of the tenant ${tenantRule(upstream.tenants)}` };
  return { ...match.route, target: match.target, tenant };
}

const namesOf = (upstream: UpstreamConfig): TenantNames | undefined =>
  upstream.tenants && new TenantNames({ ...upstream, ...upstream.tenants });

/** How the tenant of a call is found and checked, one line each. */
function tenantLines({ mount, tenants }: UpstreamConfig, tenant: string | undefined): string[] {
  if (tenants === undefined) return [];
  const { header, max, placeholder } = tenants;
  const place = 'path' in mount ? 'a segment of its path' : 'a label of its Host';
  return [
    `A call names its tenant in ${header === undefined ? place : `the header ${header}`}, for {${placeholder}}.`,
    `Here it is ${tenant ?? 'not given: write --tenant NAME'}.`,
    `It ${tenantRule(tenants)}. Other calls get 400 (invalid_tenant).`,
    `Each tenant has its own state and connections, for the ${max} most recently used ones (tenant.max).`,
  ];
}

function explanationOf(
  loaded: Good,
  method: string,
  { upstream, route, target, tenant }: Found,
): Explanation {
  const retried = retryRules(method, route.settings.retry);
  const failedAttemptMs = longestFailedAttempt(retried, upstream, route);
  return {
    method,
    upstream: upstream.name,
    route: route.name,
    url: urlOf(upstream, target, tenant),
    tenant: tenantLines(upstream, tenant),
    values: [
      ...upstreamValues(loaded, upstream),
      ...headerValues(loaded, route),
      ...authValues(loaded, route),
      ...routeValues(loaded, route),
    ],
    state: policyState(route),
    replicas: sharedByReplicas(loaded, route),
    remembered: rememberedQuota(loaded, route),
    retried,
    totalTimeoutMs: route.settings.totalTimeoutMs,
    attemptTimeoutMs: route.settings.attemptTimeoutMs,
    hedgeStuck: isSentBesideStuck(method, route),
    retryAfterMaxMs: route.settings.retry.retryAfterMaxMs,
    resumes: method === 'GET' ? route.settings.resumeAttempts : 0,
    stream: streamPlan(method, route.settings),
    allowedClients: allowedClients(loaded, upstream, route),
    durable: durablePlan(method, route, upstream),
    schedules: schedulesOn(`${upstream.name}/${route.name}`, loaded),
    schedule: {
      ordinary: retrySchedule(route, failedAttemptMs, false),
      overloaded: retrySchedule(route, failedAttemptMs, true),
    },
  };
}

function urlOf(upstream: UpstreamConfig, target: string, tenant: string | undefined): string {
  const names = tenant === undefined ? undefined : namesOf(upstream);
  const origin = names?.originOf(tenant as string) ?? upstream.origin;
  return `${shownUrl({ ...upstream, origin })}${target.slice(upstream.basePath.length)}`;
}

function isSentBesideStuck(method: string, { settings: { hedge, retry } }: RouteConfig): boolean {
  return hedge === 'stuck' && retry.attempts > 1 && isRead({ method, safe: retry.safe });
}

/** Of the policies that the route has on. */
function policyState({ own, settings }: RouteConfig): PolicyState[] {
  const { breaker, cache, concurrency, dedupe, quota, retry } = settings;
  const states: readonly (PolicyState & { readonly on: boolean })[] = [
    { key: 'retry.budget', own: own.budget, on: retry.attempts > 1 },
    { key: 'cache', own: own.cache, on: cache.ttlMs !== undefined },
    { key: 'dedupe', own: own.dedupe, on: dedupe.windowMs !== undefined },
    { key: 'quota', own: own.quota, on: quota.mode !== 'off' },
    { key: 'breaker', own: own.breaker, on: breaker.mode !== 'off' },
    { key: 'concurrency', own: own.concurrency, on: concurrency.mode !== 'off' },
  ];
  return states.flatMap(({ on, ...state }) => (on ? state : []));
}

function shownClient({ name, priority, quotaShare }: NamedClient): string {
  const facts = [
    ...(priority === 'normal' ? [] : [priority]),
    ...(quotaShare === undefined ? [] : [`at most ${formatPercentage(quotaShare)} of the quota`]),
  ];
  return facts.length === 0 ? name : `${name} (${facts.join(', ')})`;
}

/** The parts of a route that replicas share. The URL of the store is shown without secrets. */
function sharedByReplicas({ config: { shared } }: Good, { settings }: RouteConfig): string[] {
  if (shared === undefined) return [];
  const { auth, dedupe, quota } = settings;
  const through = `with the replicas named ${shared.name} through ${shownStore(shared.store)}`;
  const windows = quota.windows.map(({ name }) => name).join(', ');
  const encrypted =
    shared.secret === undefined
      ? 'not shared, because shared.secret is missing'
      : `shared encrypted ${through}`;
  return [
    ...(quota.mode === 'on' && windows !== '' ? [`quota ${windows}: shared ${through}`] : []),
    ...(quota.mode === 'on'
      ? [`cooldowns and learned limits: shared ${through}; one replica probes for all`]
      : []),
    ...(auth?.kind === 'oauth2' ? [`auth.oauth2, access tokens: ${encrypted}`] : []),
    ...(dedupe.windowMs === undefined ? [] : [`dedupe, keys in use and replies: ${encrypted}`]),
  ];
}

/** The parts of the quota that the file of durable requests remembers. */
function rememberedQuota({ config }: Good, { settings: { quota } }: RouteConfig): string[] {
  if (quota.mode === 'off' || !remembersQuotas(config)) return [];
  if (!isDurable(config)) return [];
  return [
    'quota: used units, stated limits and cooldowns that end in more than a minute, in the file of durable.store',
  ];
}

/** The clients that may use the upstream, if clients need a token. */
function knownByToken({ clients: { tokens } }: Config, upstream: UpstreamConfig): string[] {
  if (tokens.length === 0) return [];
  const served = tokens.filter(({ allow }) => allow === undefined || allow.includes(upstream.name));
  const names = served.map(shownClient).join(', ') || 'none';
  return [`Clients need a token (clients.tokens). These may use the upstream: ${names}.`];
}

/** Which clients may use a route, if not all. */
function allowedClients({ config }: Good, upstream: UpstreamConfig, route: RouteConfig): string[] {
  return [...knownByToken(config, upstream), ...strangers(config, upstream, route)];
}

/** Which clients may use a route that adds a credential. */
function strangers(config: Config, upstream: UpstreamConfig, route: RouteConfig): string[] {
  const added = addedCredentials(route, upstream, config.upstreams);
  if (added.length === 0) return [];
  const { browsers, hosts } = clientAccessRules(knownClients(config), upstream);
  const names = ['IP addresses', 'names without a dot', '*.localhost', '*.internal', ...(hosts ?? [])];
  return [
    `The route adds ${added.join(', ')}.`,
    browsers ? 'Web pages may use it (clients.browsers: allow).' : 'Web pages get 403 (clients.browsers).',
    hosts === undefined
      ? 'Host may be any name (clients.allowed_hosts).'
      : `Host may be ${names.join(', ')} (clients.allowed_hosts).`,
  ];
}

/** The schedules of a route, without queries: these may contain secrets. */
function schedulesOn(route: string, { config }: Good): string[] {
  return config.schedules
    .filter((schedule) => schedule.route === route)
    .map(({ name, method, target, cron, timezone }) => {
      return `${name}: ${method} ${target.replace(/\?.*/, '?…')}, ${cron} (${timezone})`;
    });
}
