import type { RouteConfig, UpstreamConfig } from './config.ts';
import { shownProxy, shownProxyUrl } from './egress.ts';
import { type Kind, keysOf, leafOf } from './field.ts';
import { formatDuration, formatPercentage, formatRate, formatSize } from './format.ts';
import type { Good } from './load.ts';
import { shownPem } from './pem.ts';
import type { Path } from './problem.ts';
import { sharedSchema } from './schema.ts';

/** One value that is in effect, as it would be written, and who set it. Secrets are not shown. */
export interface EffectiveValue {
  readonly key: string;
  readonly shown: string;
  /** `built-in` or `config.yaml:12 (upstreams.stripe)`. */
  readonly origin: string;
}

const REDACTED = '[redacted]';

/** All settings of a route, in the order of the schema. */
export function routeValues({ config, origins, places }: Good, route: RouteConfig): EffectiveValue[] {
  const inherited = origins.get(route);
  if (inherited === undefined) return [];
  return leavesOf(sharedSchema, []).flatMap(({ path, kind }) => {
    const origin = inherited.origins.get(path.join('.'));
    if (origin === undefined) return [];
    const value = path.reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], inherited.values);
    const line = places.value(origin.path).line;
    const text =
      origin.layer.name === undefined ? 'built-in' : `${config.file}:${line} (${origin.layer.name})`;
    return [{ key: path.join('.'), shown: withoutSecrets(show(value, kind), path), origin: text }];
  });
}

/** A PEM would fill the page even where it is no secret; a proxy's URL may hold a password. */
function withoutSecrets(shown: string, path: readonly string[]): string {
  return path.at(-1) === 'proxy' ? shownProxyUrl(shown) : shownPem(shown);
}

interface Leaf {
  readonly path: readonly string[];
  readonly kind: Kind;
}

function leavesOf(schema: Parameters<typeof keysOf>[0], path: readonly string[]): Leaf[] {
  return Object.entries(keysOf(schema) ?? {}).flatMap(([name, child]) => {
    const leaf = leafOf(child);
    const below = [...path, name];
    return leaf === undefined ? leavesOf(child, below) : [{ path: below, kind: leaf.kind }];
  });
}

function show(value: unknown, kind: Kind): string {
  if (value === null) return 'off';
  if (Array.isArray(value)) return `[${value.map((item) => show(item, kind)).join(', ')}]`;
  if (typeof value !== 'number') return String(value as string | boolean);
  switch (kind) {
    case 'duration':
      return formatDuration(value);
    case 'size':
      return formatSize(value);
    case 'rate':
      return formatRate(value);
    case 'percentage':
      return formatPercentage(value);
    case 'other':
      return String(value);
  }
}

/** What is set for an upstream alone: where it is, how it is reached, where it is mounted, and its headers. */
export function upstreamValues(loaded: Good, upstream: UpstreamConfig): EffectiveValue[] {
  const { name, mount, allowPrivate, headers, connection } = upstream;
  const path: Path = ['upstreams', name];
  const value = (keys: Path, shown: string): EffectiveValue => ({
    key: keys.join('.'),
    shown,
    origin: written(loaded, [...path, ...keys], `upstreams.${name}`),
  });
  return [
    value(['url'], shownUrl(loaded, upstream)),
    ...(connection.proxy === undefined
      ? []
      : [{ key: 'reached through', shown: shownProxy(connection.proxy), origin: 'connection.proxy' }]),
    'path' in mount ? value(['mount', 'path'], mount.path || '/') : value(['mount', 'host'], mount.host),
    value(['allow_private'], String(allowPrivate)),
    ...headers.set.map(([header, text]) => {
      const keys = ['headers', 'set', header];
      const secret = isReplaced(loaded, [...path, ...keys]) || SECRET_HEADER.test(header);
      return value(keys, secret ? REDACTED : text);
    }),
    ...(headers.remove.length > 0 ? [value(['headers', 'remove'], `[${headers.remove.join(', ')}]`)] : []),
  ];
}

/** The upstream's URL; a path that came through `${…}` may be the secret of a webhook. */
export function shownUrl(loaded: Good, { name, origin, basePath }: UpstreamConfig): string {
  const secret = basePath !== '' && isReplaced(loaded, ['upstreams', name, 'url']);
  return `${origin}${secret ? `/${REDACTED}` : basePath}`;
}

/** Headers whose values are nobody's business, however they came into the file. */
const SECRET_HEADER = /auth|api-?_?key|token|secret|cookie|password|signature|credential/i;

const isReplaced = ({ places }: Good, path: Path): boolean => places.replaced(path).length > 0;

function written({ config, places }: Good, path: Path, layer: string): string {
  return places.has(path) ? `${config.file}:${places.value(path).line} (${layer})` : 'built-in';
}
