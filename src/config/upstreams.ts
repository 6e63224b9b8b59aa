import type { HeaderRules } from '../http/headers.ts';
import type { RouteConfig, UpstreamConfig } from './config.ts';
import { connectionOptions } from './connection.ts';
import { crossCheck } from './cross-check.ts';
import { inherit, type Inherited, type Layer } from './inherit.ts';
import type { Lookup } from './interpolate.ts';
import { mountOf } from './mount.ts';
import type { Path } from './problem.ts';
import type { Report } from './report.ts';
import { routeNames } from './route-name.ts';
import type { RouteInput, SharedInput, UpstreamInput } from './schema.ts';
import { routeSettings, type Settings } from './settings.ts';
import { upstreamUrl } from './upstream-url.ts';
import { CATCH_ALL, checkHeaderName } from './words.ts';

/** Each route's values as the file has them, and who set them; those of an upstream's connections are in every route of it. */
export type Origins = ReadonlyMap<RouteConfig, Inherited<Settings>>;

/** What an upstream's values rest on. */
export interface Ground {
  readonly builtIn: Layer;
  readonly defaults: Layer;
  readonly report: Report;
  readonly origins: Map<RouteConfig, Inherited<Settings>>;
  readonly lookup: Lookup;
}

/** An upstream with its routes, everything inherited and checked. */
export function resolveUpstream(name: string, input: UpstreamInput, ground: Ground): UpstreamConfig {
  const path: Path = ['upstreams', name];
  const { report } = ground;
  const { url, mount, allow_private: allowPrivate = false, headers, routes = [], ...shared } = input;
  const layers = [ground.builtIn, ground.defaults, { name: path.join('.'), path, values: shared }];
  const inherited = inherit<SharedInput>(layers);
  const place = upstreamUrl(url, [...path, 'url'], allowPrivate, report);
  return {
    name,
    ...place,
    mount: mountOf(name, mount, [...path, 'mount'], report),
    allowPrivate,
    headers: headerRules(headers, [...path, 'headers'], report),
    connection: connectionOptions(inherited, place.origin, ground),
    routes: resolveRoutes(routes, path, layers, ground),
  };
}

function headerRules(input: UpstreamInput['headers'], path: Path, report: Report): HeaderRules {
  const set: [string, string][] = [];
  for (const [name, value] of Object.entries(input?.set ?? {})) {
    if (value === undefined) continue;
    const problem = checkHeaderName(name);
    const twin = set.find(([other]) => other.toLowerCase() === name.toLowerCase());
    if (problem !== undefined) report.problem([...path, 'set', name], problem, 'key');
    else if (twin !== undefined)
      report.problem([...path, 'set', name], `is the same header as "${twin[0]}"; keep one`, 'key');
    else set.push([name, value]);
  }
  return { set, remove: (input?.remove ?? []).map((name) => name.toLowerCase()) };
}

function resolveRoutes(
  inputs: readonly RouteInput[],
  upstream: Path,
  outer: readonly Layer[],
  ground: Ground,
): RouteConfig[] {
  const names = routeNames(inputs, (index, message) =>
    ground.report.problem([...upstream, 'routes', index, 'name'], message),
  );
  const routes = inputs.map((input, index) => {
    const { name: _name, match, ...values } = input;
    const path = [...upstream, 'routes', index];
    if (match?.method === undefined && match?.path === undefined) {
      ground.report.problem(
        [...path, 'match'],
        'is missing; write for example match: { method: POST, path: /v1/orders }',
        'key',
      );
    }
    const name = names[index] ?? CATCH_ALL;
    return resolveRoute({ name, match, layers: [...outer, { name: `route ${name}`, path, values }] }, ground);
  });
  warnAboutShadows(routes, [...upstream, 'routes'], ground.report);
  return [...routes, resolveRoute({ name: CATCH_ALL, match: undefined, layers: outer }, ground)];
}

interface RouteParts {
  readonly name: string;
  readonly match: RouteInput['match'];
  readonly layers: readonly Layer[];
}

function resolveRoute({ name, match, layers }: RouteParts, { report, origins }: Ground): RouteConfig {
  const inherited = inherit<SharedInput>(layers);
  crossCheck(inherited, report);
  const own = layers.at(-1)?.values as Partial<Record<'retry' | 'breaker' | 'concurrency', object>>;
  const isRoute = name !== CATCH_ALL;
  const route: RouteConfig = {
    name,
    methods: methodsOf(match?.method),
    path: match?.path ?? '/**',
    settings: routeSettings(inherited.values),
    own: {
      budget: isRoute && own.retry !== undefined && 'budget' in own.retry,
      breaker: isRoute && own.breaker !== undefined,
      concurrency: isRoute && own.concurrency !== undefined,
    },
  };
  origins.set(route, inherited);
  return route;
}

function methodsOf(written: readonly string[] | undefined): readonly string[] | undefined {
  const methods = written?.map((method) => method.toUpperCase());
  if (methods === undefined || methods.length === 0) return undefined;
  return methods.includes('ANY') || methods.includes('*') ? undefined : [...new Set(methods)];
}

function warnAboutShadows(routes: readonly RouteConfig[], path: Path, report: Report): void {
  routes.forEach((route, index) => {
    const earlier = routes.slice(0, index).find((other) => takesAll(other, route));
    if (earlier !== undefined)
      report.warning(
        [...path, index],
        `is never reached: route ${earlier.name} takes its calls; put it first`,
      );
  });
}

function takesAll(earlier: RouteConfig, later: RouteConfig): boolean {
  const { methods } = earlier;
  const samePath = earlier.path === '/**' || earlier.path === later.path;
  return (
    samePath && (methods === undefined || later.methods?.every((method) => methods.includes(method)) === true)
  );
}
