import type { RouteConfig } from '../config/config.ts';
import type { ByteBudget } from '../http/byte-budget.ts';
import { CredentialNames, queryWithoutSecrets, withoutSecrets } from '../http/credentials.ts';
import { type HeaderRules, headerOf, withoutFields } from '../http/headers.ts';
import { isSafe } from '../http/methods.ts';
import { type Forwarded, fallback } from '../policies/fallback/fallback.ts';
import type { FallbackUpstream } from '../policies/fallback/options.ts';
import type { Call } from '../proxy/call.ts';
import { ProxyError } from '../proxy/errors.ts';
import { idempotencyKey } from '../proxy/idempotency-key.ts';
import type { Policy } from '../proxy/pipeline.ts';
import type { Route } from '../proxy/route.ts';
import { type MountedUpstream, Router } from '../routing/router.ts';
import type { Clock } from '../runtime/clock.ts';

/** Another upstream of the same configuration. It is set before calls run. */
export interface UpstreamLink {
  mounted: MountedUpstream<Route> | undefined;
}

interface FallbackDeps {
  readonly clock: Clock;
  readonly memory: ByteBudget;
  readonly newId: () => string;
  readonly linkTo: (upstream: string) => UpstreamLink;
}

/** The fallback of a route, if configured. `basePath`: the path of the upstream's URL, which precedes the client's path. */
export function fallbackOf(
  { headers, settings }: RouteConfig,
  basePath: string,
  { clock, memory, newId, linkTo }: FallbackDeps,
): Policy | undefined {
  const options = settings.fallback;
  if (options === undefined) return undefined;
  const names = new CredentialNames(settings.identity);
  const { notProcessed } = settings.retry;
  return fallback(options, {
    clock,
    memory,
    notProcessed,
    forward: (to) => forwardTo(to, { newId, link: linkTo(to.upstream), basePath, injected: headers, names }),
  });
}

interface ForwardDeps extends Pick<FallbackDeps, 'newId'> {
  readonly link: UpstreamLink;
  readonly basePath: string;
  /** Headers that the first upstream's rules set. */
  readonly injected: HeaderRules;
  /** Names of credentials of the first upstream. */
  readonly names: CredentialNames;
}

/**
 * Rewrites a failed call for a route of another upstream, with that upstream's allow-list, header rules, policies and
 * connections. Credentials of the client and headers set by rules of the first upstream are removed.
 */
function forwardTo(to: FallbackUpstream, deps: ForwardDeps): (call: Call) => Forwarded {
  const { newId, basePath, names } = deps;
  const own = new Set(to.headers.set.map(([name]) => name.toLowerCase()));
  const dropped = new Set([
    ...deps.injected.set.map(([name]) => name.toLowerCase()),
    ...to.headers.remove,
    ...own,
  ]);
  let router: Router<Route> | undefined;

  return (call) => {
    router ??= routerOf(deps.link.mounted);
    const match = router.match(
      call.method,
      undefined,
      targetOf(to.path, call.target.slice(basePath.length), names),
    );
    if (match.kind !== 'route') {
      throw new ProxyError(match.kind === 'denied' ? 'egress_denied' : 'route_not_found', match.why);
    }
    const { route, target } = match;
    const { drop, add } = route.headers;
    const foreign = isSafe(call.method) ? CONDITIONS : NONE;
    const headers = withoutSecrets(
      call.headers,
      names,
      (name) => dropped.has(name) || drop.has(name) || foreign.has(name),
    );
    headers.push(...withoutFields(add, (name) => own.has(name)));
    headers.push(...to.headers.set.flat());
    const { header } = route.idempotency;
    const key = idempotencyKey(route.idempotency, { method: call.method, headers, newId });
    const forwarded = {
      ...call,
      target,
      headers,
      idempotencyKey: key,
      keyedByClient: key !== undefined && headerOf(call.headers, header) === key,
      safe: route.safe,
      clientRetries: 0,
      overrides: undefined,
      journal: call.journal.elsewhere(route.upstream, route.name),
    };
    return { call: forwarded, route };
  };
}

/**
 * Conditions on a cached copy, which only the upstream of that copy can check, so they are removed from safe requests. For
 * an unsafe request, they are a precondition and stay: it must fail rather than be ignored.
 */
const CONDITIONS: ReadonlySet<string> = new Set(['if-none-match', 'if-modified-since']);
const NONE: ReadonlySet<string> = new Set();

/** The target at the fallback. `**` in `path` is the client's path. Its query is added, without secret parameters. */
function targetOf(path: string, below: string, names: CredentialNames): string {
  const mark = below.indexOf('?');
  const clientPath = mark < 0 ? below : below.slice(0, mark);
  const target = path.endsWith('/**') ? path.slice(0, -3) + (clientPath || '/') : path;
  const query = mark < 0 ? '' : queryWithoutSecrets(below.slice(mark + 1), names);
  if (query === '') return target;
  return `${target}${target.includes('?') ? '&' : '?'}${query}`;
}

/** A router for the routes of one upstream alone. */
function routerOf(upstream: MountedUpstream<Route> | undefined): Router<Route> {
  return new Router(upstream === undefined ? [] : [{ ...upstream, mount: { path: '/' } }]);
}
