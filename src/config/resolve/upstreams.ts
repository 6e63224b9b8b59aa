import type { UpstreamConfig } from '../config.ts';
import type { SharedInput, UpstreamInput } from '../keys/schema.ts';
import type { Path } from '../read/problem.ts';
import { allowRules } from './allow.ts';
import { connectionOptions } from './connection.ts';
import type { ResolveContext } from './context.ts';
import { inherit, type Layer } from './inherit.ts';
import { mountOf } from './mount.ts';
import { loadPreset, presetOf } from './preset.ts';
import { belowBase, resolveRoutes } from './routes.ts';
import { upstreamUrl } from './upstream-url.ts';

/** An upstream with its routes, inherited and checked. */
export function resolveUpstream(name: string, input: UpstreamInput, context: ResolveContext): UpstreamConfig {
  const path: Path = ['upstreams', name];
  const { report } = context;
  const { url, preset, mount, allow_private: allowPrivate = false, allow, routes = [], ...shared } = input;
  const known = preset === undefined ? undefined : loadPreset(preset, [...path, 'preset'], context);
  const outer = [context.builtIn, context.defaults, ...(known === undefined ? [] : [known.layer])];
  const own: Layer = { name: path.join('.'), path, values: shared };
  const inherited = inherit<SharedInput>([...outer, own]);
  const place = upstreamUrl(url, [...path, 'url'], allowPrivate, report);
  const suggested = preset === undefined ? presetOf(new URL(place.origin).hostname) : undefined;
  if (suggested !== undefined)
    report.hint([...path, 'url'], `this API has a preset; write preset: ${suggested}`);
  const allowed = allowRules(allow, [...path, 'allow'], report);
  return {
    name,
    ...place,
    privatePath: report.replaced([...path, 'url']),
    mount: mountOf(name, mount, [...path, 'mount'], report),
    allowPrivate,
    allow: allowed,
    connection: connectionOptions(inherited, place.origin, context),
    routes: resolveRoutes(
      { path, outer, own, inputs: routes, known: belowBase(known?.routes ?? [], place.basePath) },
      { ...context, allow: allowed },
    ),
  };
}
