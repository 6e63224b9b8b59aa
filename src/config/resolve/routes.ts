import { type Calls, covers, overlap } from '../../routing/pattern-covers.ts';
import type { RouteConfig } from '../config.ts';
import { CATCH_ALL, MATCH_MISSING, methodsOf } from '../fields/words.ts';
import type { RouteInput, SharedInput } from '../keys/schema.ts';
import type { Path } from '../read/problem.ts';
import { warnOfMethods } from './allow.ts';
import { crossCheck } from './cross-check.ts';
import { decideDurable, durableOptions, warnOfKeyless } from './durable.ts';
import type { Ground } from './ground.ts';
import { headerRules } from './header-rules.ts';
import { countInjected } from './identity.ts';
import { inherit, type Layer } from './inherit.ts';
import type { PresetRoute } from './preset.ts';
import { routeNames } from './route-name.ts';
import { routeSettings } from './settings.ts';
import { checkSigned } from './signed.ts';
import { pollingOf } from './until.ts';

interface RouteGround extends Ground {
  /** The upstream's allow-list; undefined: there is none. */
  readonly allow: readonly Calls[] | undefined;
}

interface Routes {
  /** The upstream's. */
  readonly path: Path;
  /** Built-in values, defaults and the preset's. */
  readonly outer: readonly Layer[];
  /** What the upstream itself says. */
  readonly own: Layer;
  readonly inputs: readonly RouteInput[];
  readonly known: readonly KnownRoute[];
}

/** The user's routes, then those of the preset, then the one of all other calls. */
export function resolveRoutes(
  { path: upstream, outer, own, inputs, known }: Routes,
  ground: RouteGround,
): RouteConfig[] {
  const { report } = ground;
  const path: Path = [...upstream, 'routes'];
  const calls = inputs.map(({ match }) => callsOf(match));
  // Where the user's routes take all of its calls, none is left for the preset's.
  const added = known.filter((route) => !calls.some((earlier) => covers(earlier, route.calls)));
  const names = routeNames([...inputs, ...withoutTaken(added, inputs)], (index, message) =>
    report.problem([...path, index, 'name'], message),
  );
  warnAboutShadows(calls, (index, earlier) =>
    report.warning(
      [...path, index],
      `is never reached: route ${names[earlier]} takes its calls; put it first`,
    ),
  );
  warnAboutDenied(calls, ground.allow, (index) =>
    report.warning([...path, index], 'is never reached: allow has none of its calls; add them to allow'),
  );
  const written = inputs.map((input, index) => {
    const { name: _name, match, ...values } = input;
    if (match?.method === undefined && match?.path === undefined) {
      report.problem([...path, index, 'match'], MATCH_MISSING, 'key');
    }
    warnOfMethods(match?.method, [...path, index, 'match', 'method'], report);
    const name = names[index] ?? CATCH_ALL;
    const route: Layer = { name: `route ${name}`, path: [...path, index], values };
    // What is known of the endpoint holds for a route of the user's that matches nothing else.
    const endpoint = known.filter(({ calls: wide }) => covers(wide, callsOf(match))).slice(0, 1);
    const layers = [...outer, ...endpoint.map(({ layer }) => layer), own, route];
    return resolveRoute({ name, calls: callsOf(match), layers, alone: route }, ground);
  });
  const preset = added.map((route, index) => {
    const name = names[inputs.length + index] ?? CATCH_ALL;
    // What the user writes for the upstream wins over all that a preset says.
    const layers = [...outer, route.layer, own];
    return resolveRoute({ name, calls: route.calls, layers, alone: route.layer }, ground);
  });
  const rest = resolveRoute({ name: CATCH_ALL, calls: callsOf(undefined), layers: [...outer, own] }, ground);
  return [...written, ...preset, rest];
}

interface KnownRoute extends PresetRoute {
  readonly calls: Calls;
}

/** Presets have whole paths; where the upstream's URL brings a part of them, that part is not in the call. */
export function belowBase(routes: readonly PresetRoute[], basePath: string): KnownRoute[] {
  return routes.map((route) => {
    const { methods, path } = callsOf(route.match);
    const below = basePath !== '' && path.startsWith(`${basePath}/`) ? path.slice(basePath.length) : path;
    return { ...route, calls: { methods, path: below } };
  });
}

/** A name that the user gave to another route is not the preset's to take. */
function withoutTaken(routes: readonly KnownRoute[], inputs: readonly RouteInput[]): RouteInput[] {
  const taken = new Set(inputs.map(({ name }) => name));
  return routes.map(({ name, match, calls: { path } }) =>
    taken.has(name) ? { match: { ...match, path } } : { name, match },
  );
}

interface RouteParts {
  readonly name: string;
  readonly calls: Calls;
  readonly layers: readonly Layer[];
  /** The one that is the route's alone. */
  readonly alone?: Layer;
}

function resolveRoute(
  { name, calls, layers, alone }: RouteParts,
  { report, origins, allow }: RouteGround,
): RouteConfig {
  const inherited = inherit<SharedInput>(layers);
  crossCheck(inherited, report);
  const durable = decideDurable(inherited);
  if (durable) warnOfKeyless(inherited, { calls, allow }, report);
  const headers = headerRules(layers, allow !== undefined, report);
  countInjected(inherited, headers);
  checkSigned(inherited, { headers, durable }, report);
  const polling = pollingOf(inherited, durable, report);
  const own = (alone?.values ?? {}) as Partial<Record<'retry' | 'breaker' | 'concurrency', object>>;
  const route: RouteConfig = {
    name,
    ...calls,
    headers,
    settings: {
      ...routeSettings(inherited.values),
      durable: durable ? durableOptions(inherited.values, polling) : undefined,
    },
    own: {
      budget: own.retry !== undefined && 'budget' in own.retry,
      breaker: own.breaker !== undefined,
      concurrency: own.concurrency !== undefined,
    },
  };
  origins.set(route, inherited);
  return route;
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

function warnAboutShadows(routes: readonly Calls[], warn: (index: number, earlier: number) => void): void {
  routes.forEach((route, index) => {
    const earlier = routes.slice(0, index).findIndex((other) => covers(other, route));
    if (earlier >= 0) warn(index, earlier);
  });
}
