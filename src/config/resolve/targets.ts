import { placeholdersOf } from '../../http/host-template.ts';
import { parsePointer } from '../../http/json-pointer.ts';
import type { BodyChange } from '../../policies/targets/options.ts';
import type { TargetConfig } from '../config.ts';
import type { SharedInput, UpstreamInput } from '../keys/schema.ts';
import type { TargetInput } from '../keys/targets.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';
import { connectionOptions } from './connection.ts';
import { inherit, type Layer } from './inherit.ts';
import { loadPreset } from './preset.ts';
import { belowBase, type RouteContext, type RoutePlan, resolveRoutes } from './routes.ts';
import { CoveringCalls } from '../../routing/pattern-covers.ts';
import { type UpstreamUrl, upstreamUrl } from './upstream-url.ts';

/** The upstream of the targets. */
interface Outer {
  readonly path: Path;
  readonly place: UpstreamUrl;
  /** The upstream's own values. */
  readonly own: Layer;
  readonly plans: readonly RoutePlan[];
}

/** More would make each choice slow, and metrics large. */
const MOST_TARGETS = 100;

/** The targets of an upstream; undefined: none are written. */
export function resolveTargets(
  { targets: inputs, allow_private: allowPrivate = false, url }: UpstreamInput,
  outer: Outer,
  context: RouteContext,
): readonly TargetConfig[] | undefined {
  if (inputs === undefined) return undefined;
  const { report } = context;
  const path: Path = [...outer.path, 'targets'];
  if (inputs.length === 0) report.problem(path, 'has no target; write one, or remove targets', 'key');
  if (inputs.length > MOST_TARGETS)
    report.problem(path, `has ${inputs.length} targets; write at most ${MOST_TARGETS}`, 'key');
  if (placeholdersOf(outer.place.origin).length > 0)
    report.problem(
      path,
      'cannot be combined with a placeholder in url, because a key of one tenant is none of another; fill the placeholder by vars, or write one upstream for each target',
      'key',
    );
  checkNames(inputs, path, report);
  const targets = inputs.map((input, index) => {
    const below = [...path, index];
    const place = input.url === undefined ? outer.place : placeOf(input, below, allowPrivate, report);
    if (input.url === undefined && url === undefined && index > 0 && inputs[0]?.url !== undefined)
      report.problem([...below, 'url'], 'is missing; write it here, or once for the upstream', 'key');
    return resolveTarget(input, { ...outer, place, path: below, allowPrivate }, context);
  });
  checkConnections(targets, path, report);
  return targets;
}

/** Targets with the same host share its connections. */
function checkConnections(targets: readonly TargetConfig[], path: Path, report: Report): void {
  const first = new Map<string, TargetConfig>();
  targets.forEach(({ origin, allowPrivate }, index) => {
    const other = first.get(origin);
    if (other === undefined) first.set(origin, targets[index] as TargetConfig);
    else if (other.allowPrivate !== allowPrivate)
      report.problem(
        [...path, index, 'allow_private'],
        `is ${allowPrivate}, and target ${other.name} has ${other.allowPrivate} for the same host; write the same for both`,
      );
  });
}

function placeOf(input: TargetInput, path: Path, allowPrivate: boolean, report: Report): UpstreamUrl {
  return upstreamUrl(input.url, { ...placeRules(input, allowPrivate), path: [...path, 'url'] }, report);
}

const placeRules = ({ allow_private: own }: TargetInput, allowPrivate: boolean) => ({
  allowPrivate: own ?? allowPrivate,
  placeholders: false,
});

/** The place of the first target of the upstream at `path`, which is that of an upstream without a URL. */
export const targetPlace = (first: TargetInput, path: Path, allowPrivate: boolean) => ({
  ...placeRules(first, allowPrivate),
  path: [...path, 'targets', 0, 'url'],
});

function checkNames(inputs: readonly TargetInput[], path: Path, report: Report): void {
  const names = new Set<string>();
  inputs.forEach(({ name }, index) => {
    const place = [...path, index, 'name'];
    if (name === undefined && !report.knows(place))
      report.problem(place, 'is missing; write for example name: team-a', 'key');
    else if (name !== undefined && names.has(name))
      report.problem(place, `${name} is the name of another target; write another one`);
    if (name !== undefined) names.add(name);
  });
}

function resolveTarget(
  input: TargetInput,
  { path, place, plans, own, allowPrivate }: Outer & { readonly allowPrivate: boolean },
  context: RouteContext,
): TargetConfig {
  const { report } = context;
  const { name = '', weight, tier, preset, body, url, allow_private: written, ...values } = input;
  const layer: Layer = { name: `target ${name}`, path, values };
  const used = preset === undefined ? plans : withPreset(plans, { preset, path, ...place }, context);
  const ready = used.map((plan) => ({ ...plan, outer: withProbes(plan.outer) }));
  const { outer = [] } = used.at(-1) ?? {};
  return {
    name,
    ...shareOf({ weight, tier }),
    ...place,
    privatePath: report.replaced(url === undefined ? [...path.slice(0, 2), 'url'] : [...path, 'url']),
    allowPrivate: written ?? allowPrivate,
    connection: connectionOptions(inherit<SharedInput>([...outer, own]), place.origin, context),
    body: { set: bodyChanges(body?.set ?? {}, [...path, 'body', 'set'], report) },
    routes: resolveRoutes(ready, [own, layer], context),
  };
}

/** A probe that fails costs little here, because another target takes its call. So a host that is back gets its share within 5 s. */
const PROBES: Layer = { name: undefined, path: [], values: { breaker: { wait: { max: 4_000 } } } };

function withProbes([builtIn, ...written]: readonly Layer[]): readonly Layer[] {
  return builtIn === undefined ? [] : [builtIn, PROBES, ...written];
}

const shareOf = ({ weight = 1, tier = 1 }: Pick<TargetInput, 'weight' | 'tier'>) => ({ weight, tier });

interface OtherPreset {
  readonly preset: string;
  readonly path: Path;
  readonly basePath: string;
}

/** The plans with another preset. Each route has the values of the other preset's route for the same calls. */
function withPreset(
  plans: readonly RoutePlan[],
  { preset, path, basePath }: OtherPreset,
  context: RouteContext,
): RoutePlan[] {
  const { layer, routes } = loadPreset(preset, [...path, 'preset'], context);
  const known = belowBase(routes, basePath);
  const covering = new CoveringCalls(known.map(({ calls }) => calls));
  const outer = [context.builtIn, context.defaults, layer];
  return plans.map((plan) => ({ ...plan, outer, preset: known[covering.firstFor(plan.calls) ?? -1]?.layer }));
}

function bodyChanges(set: Readonly<Record<string, unknown>>, path: Path, report: Report): BodyChange[] {
  return Object.entries(set).flatMap(([written, value]): BodyChange[] => {
    if (value === undefined) return [];
    const pointer = parsePointer(written);
    if (pointer !== undefined && pointer.length > 0 && !pointer.includes('*')) return [[pointer, value]];
    report.problem([...path, written], 'is not a JSON pointer to one value; write for example /model', 'key');
    return [];
  });
}

/** The header that decides the target of a call, in lower case; undefined: none. */
export function stickyHeader(
  { sticky: written, targets }: UpstreamInput,
  path: Path,
  report: Report,
): string | undefined {
  if (written?.startsWith('header:') !== true) return undefined;
  if (targets === undefined) report.warning([...path, 'sticky'], 'has no effect without targets; remove it');
  return written.slice('header:'.length).toLowerCase();
}
