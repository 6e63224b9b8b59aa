import { isDeepStrictEqual } from 'node:util';
import { type Calls, CoveringCalls, overlap } from '../../routing/pattern-covers.ts';
import type { AllowList } from '../../routing/allow-list.ts';
import type { RouteConfig } from '../config.ts';
import { CATCH_ALL, MATCH_MISSING, methodsOf } from '../fields/words.ts';
import type { RouteInput, SharedInput } from '../keys/schema.ts';
import type { Path } from '../read/problem.ts';
import { warnOfMethods } from './allow.ts';
import { resolvedAuth } from './auth.ts';
import { crossCheck } from './cross-check.ts';
import { decideDurable, durableOptions, warnOfKeyless } from './durable.ts';
import type { ResolveContext, Settings } from './context.ts';
import { faultOptions, withFaults } from './faults.ts';
import { headerRules } from './header-rules.ts';
import { countInjected } from './identity.ts';
import { type Inherited, inherit, type Layer } from './inherit.ts';
import { ownState } from './own-state.ts';
import type { PresetRoute } from './preset.ts';
import { routeNames } from './route-name.ts';
import { routeSettings } from './settings.ts';
import { checkSigned } from './signed.ts';
import { pollingOf } from './until.ts';

export interface RouteContext extends ResolveContext {
  /** The upstream's allow-list; undefined: none. */
  readonly allow: AllowList | undefined;
}

interface Routes {
  /** Path of the upstream in the file. */
  readonly path: Path;
  /** Built-in values, defaults and preset. */
  readonly outer: readonly Layer[];
  readonly inputs: readonly RouteInput[];
  readonly known: readonly KnownRoute[];
}

/** A route with its layers, before they are merged. */
export interface RoutePlan {
  readonly name: string;
  readonly calls: Calls;
  /** Layers outside the upstream's own values, and inside them. */
  readonly outer: readonly Layer[];
  readonly inner: readonly Layer[];
  /** The layer of a preset that is about the route alone; undefined: none. */
  readonly preset: Layer | undefined;
}

/** All routes of an upstream: those of the file, then those of the preset, then the one for all other calls. */
export function planRoutes(
  { path: upstream, outer, inputs, known }: Routes,
  context: Pick<RouteContext, 'report' | 'allow'>,
): RoutePlan[] {
  const { report } = context;
  const path: Path = [...upstream, 'routes'];
  const calls = inputs.map(({ match }) => callsOf(match));
  const { earlier, covering } = shadowed(calls);
  // A preset's route is left out if a route of the file takes all its calls.
  const added = known.filter((route) => covering.firstFor(route.calls) === undefined);
  const names = routeNames([...inputs, ...withoutUsedNames(added, inputs)], (index, message) =>
    report.problem([...path, index, 'name'], message),
  );
  for (const [index, first] of earlier)
    report.warning(
      [...path, index],
      `is never used, because route ${names[first]} above takes all its calls; move it up`,
    );
  warnAboutDenied(calls, context.allow?.rules, (index) =>
    report.warning(
      [...path, index],
      'is never used, because allow permits none of its calls; add them to allow',
    ),
  );
  const endpoints = new CoveringCalls(known.map((route) => route.calls));
  const written = inputs.map((input, index) => {
    const { name: _name, match, ...values } = input;
    if (match?.method === undefined && match?.path === undefined) {
      report.problem([...path, index, 'match'], MATCH_MISSING, 'key');
    }
    warnOfMethods(match?.method, [...path, index, 'match', 'method'], report);
    const name = names[index] ?? CATCH_ALL;
    const route: Layer = { name: `route ${name}`, path: [...path, index], values };
    // A route of the file inherits from the preset's route for the same endpoint.
    const preset = known[endpoints.firstFor(callsOf(match)) ?? -1]?.layer;
    return { name, calls: callsOf(match), outer, preset, inner: [route] };
  });
  const preset = added.map(({ layer, calls: taken }, index) => {
    const name = names[inputs.length + index] ?? CATCH_ALL;
    return { name, calls: taken, outer, preset: layer, inner: [] };
  });
  const rest = { name: CATCH_ALL, calls: callsOf(undefined), outer, preset: undefined, inner: [] };
  return [...written, ...preset, rest];
}

/** The routes of a plan with the upstream's own values, which win over those of a preset. The last one is for all other calls. */
export function resolveRoutes(
  plans: readonly RoutePlan[],
  own: readonly Layer[],
  context: RouteContext,
): RouteConfig[] {
  const routes = plans.map(({ name, calls, outer, preset, inner }) => {
    const about = preset === undefined ? [] : [preset];
    const layers = [...outer, ...about, ...own, ...inner];
    return resolveRoute({ name, calls, layers, alone: [...about, ...inner] }, context);
  });
  const rest = routes.at(-1) as ResolvedRoute;
  return withOwnState(routes, rest, context);
}

/** The catch-all route `rest` writes nothing, so it has the upstream's values. */
function withOwnState(
  routes: readonly ResolvedRoute[],
  rest: ResolvedRoute,
  { origins }: RouteContext,
): RouteConfig[] {
  return routes.map(({ route, inherited, alone }) => {
    const shared = rest.route.headers;
    const headers = isDeepStrictEqual(route.headers, shared) ? shared : route.headers;
    const resolved = { ...route, headers, own: ownState(route.settings, rest.route.settings, alone) };
    origins.set(resolved, inherited);
    return resolved;
  });
}

export interface KnownRoute extends PresetRoute {
  readonly calls: Calls;
}

/** The routes of a preset below `basePath`: presets have whole paths, and calls do not have the part that url adds. */
export function belowBase(routes: readonly PresetRoute[], basePath: string): KnownRoute[] {
  return routes.map((route) => {
    const { methods, path } = callsOf(route.match);
    const below = basePath !== '' && path.startsWith(`${basePath}/`) ? path.slice(basePath.length) : path;
    return { ...route, calls: { methods, path: below } };
  });
}

/** The routes of a preset, without names that routes of the file have. */
function withoutUsedNames(routes: readonly KnownRoute[], inputs: readonly RouteInput[]): RouteInput[] {
  const used = new Set(inputs.map(({ name }) => name));
  return routes.map(({ name, match, calls: { path } }) =>
    used.has(name) ? { match: { ...match, path } } : { name, match },
  );
}

interface RouteParts {
  readonly name: string;
  readonly calls: Calls;
  readonly layers: readonly Layer[];
  /** The layers that are about the route alone. */
  readonly alone: readonly Layer[];
}

/** A route that does not know yet what state it shares. */
interface ResolvedRoute {
  readonly route: Omit<RouteConfig, 'own'>;
  readonly inherited: Inherited<Settings>;
  readonly alone: readonly Layer[];
}

function resolveRoute({ name, calls, layers, alone }: RouteParts, context: RouteContext): ResolvedRoute {
  const { report } = context;
  const allow = context.allow?.mode === 'enforce' ? context.allow.rules : undefined;
  const inherited = inherit<SharedInput>(layers);
  crossCheck(inherited, report);
  const durable = decideDurable(inherited);
  if (durable) warnOfKeyless(inherited, { calls, allow }, report);
  const headers = headerRules(layers, allow !== undefined, report);
  const credential = resolvedAuth({ layers, headers, inherited }, context);
  countInjected(inherited, { headers, auth: credential.auth });
  checkSigned(inherited, { headers, durable }, report);
  const faults = faultOptions(inherited, context);
  const polling = pollingOf(inherited, durable, report);
  const route = {
    name,
    ...calls,
    headers,
    settings: {
      ...withFaults(routeSettings(inherited.values), faults),
      ...credential,
      durable: durable ? durableOptions(inherited.values, polling) : undefined,
    },
  };
  return { route, inherited, alone };
}

function callsOf(match: RouteInput['match']): Calls {
  return { methods: methodsOf(match?.method), path: match?.path ?? '/**' };
}

function warnAboutDenied(
  routes: readonly Calls[],
  allow: readonly Calls[] | undefined,
  warn: (index: number) => void,
): void {
  routes.forEach((route, index) => {
    if (allow?.some((rule) => overlap(rule, route)) === false) warn(index);
  });
}

/** For each route that is never used, the first earlier one that takes all its calls. */
function shadowed(routes: readonly Calls[]) {
  const covering = new CoveringCalls();
  const earlier = new Map<number, number>();
  routes.forEach((route, index) => {
    const first = covering.firstFor(route);
    if (first !== undefined) earlier.set(index, first);
    covering.add(route);
  });
  return { earlier, covering };
}
