import type { UpstreamConfig } from '../config.ts';
import type { SharedInput, UpstreamInput } from '../keys/schema.ts';
import type { Path } from '../read/problem.ts';
import type { Report } from '../read/report.ts';
import { allowListOf } from './allow.ts';
import { connectionOptions } from './connection.ts';
import type { ResolveContext } from './context.ts';
import { inherit, type Layer } from './inherit.ts';
import { mountOf } from './mount.ts';
import { type LoadedPreset, loadPreset, presetOf } from './preset.ts';
import { belowBase, planRoutes, resolveRoutes } from './routes.ts';
import { resolveTargets, stickyHeader, targetPlace } from './targets.ts';
import { type Place, tenantOptions, withVars } from './tenants.ts';
import { upstreamUrl } from './upstream-url.ts';

/** An upstream with its routes, inherited and checked. */
export function resolveUpstream(name: string, input: UpstreamInput, context: ResolveContext): UpstreamConfig {
  const path: Path = ['upstreams', name];
  const { report } = context;
  const { tenant, preset, mount, allow_private: allowPrivate = false, allow, routes = [] } = input;
  const known = preset === undefined ? undefined : loadPreset(preset, [...path, 'preset'], context);
  const outer = [context.builtIn, context.defaults, ...(known === undefined ? [] : [known.layer])];
  const own: Layer = { name: path.join('.'), path, values: inherited(input) };
  const { place, tenants } = placeOf({ name, ...input, allowPrivate, known }, { path, report });
  if (known === undefined) suggestPreset(place.origin, [...path, 'url'], report);
  const allowed = allowListOf(allow, path, report);
  const routeContext = { ...context, allow: allowed };
  const plans = planRoutes(
    { path, outer, inputs: routes, known: belowBase(known?.routes ?? [], place.basePath) },
    routeContext,
  );
  const resolved = resolveRoutes(plans, [own], routeContext);
  return {
    name,
    ...place,
    tenants,
    privatePath: report.replaced([...path, 'url']),
    mount: mountOf({ name, mount, tenant, placeholder: tenants?.placeholder }, [...path, 'mount'], report),
    allowPrivate,
    allow: allowed,
    connection: connectionOptions(inherit<SharedInput>([...outer, own]), place.origin, context),
    routes: resolved,
    targets: resolveTargets(input, { path, place, own, plans }, routeContext),
    sticky: stickyHeader(input, path, report),
  };
}

/** The keys that routes inherit. The header that names the tenant is for this proxy alone. */
function inherited(input: UpstreamInput): object {
  const { url: _url, vars: _vars, preset: _preset, mount: _mount, allow_private: _private, ...rest } = input;
  const { allow: _allow, routes: _routes, targets: _targets, sticky: _sticky, tenant, ...shared } = rest;
  if (tenant?.header === undefined) return shared;
  const { headers } = shared;
  return { ...shared, headers: { ...headers, remove: [...(headers?.remove ?? []), tenant.header] } };
}

interface PlaceInput extends Pick<UpstreamInput, 'url' | 'vars' | 'tenant' | 'mount' | 'targets'> {
  readonly name: string;
  readonly allowPrivate: boolean;
  readonly known: LoadedPreset | undefined;
}

/** The upstream's URL, from the file, the preset or its first target, and how calls fill a placeholder that it has. */
function placeOf({ url, known, allowPrivate, targets, ...written }: PlaceInput, { path, report }: Place) {
  const text = withVars(url ?? known?.url, written.vars, { path, report });
  const [first] = targets ?? [];
  if (text === undefined && first?.url !== undefined)
    return {
      place: upstreamUrl(first.url, targetPlace(first, path, allowPrivate), report),
      tenants: undefined,
    };
  const place = upstreamUrl(text, { path: [...path, 'url'], allowPrivate, placeholders: true }, report);
  const ofPreset = url === undefined;
  return { place, tenants: tenantOptions(place.origin, { ...written, ofPreset }, { path, report }) };
}

function suggestPreset(origin: string, path: Path, report: Report): void {
  const suggested = presetOf(new URL(origin).hostname);
  if (suggested !== undefined) report.hint(path, `this API has a preset; write preset: ${suggested}`);
}
