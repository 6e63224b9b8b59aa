import { CredentialNames, isSecret, REDACTED } from '../../http/credentials.ts';
import type { AllowList, AllowRule } from '../../routing/allow-list.ts';
import type { RouteConfig, TenantOptions, UpstreamConfig } from '../config.ts';
import { isList, type Kind, keysOf, leafOf } from '../fields/field.ts';
import { formatDuration, formatPercentage, formatRate, formatSize } from '../fields/format.ts';
import { type ConfiguredWindow, formatWindow } from '../keys/quota-window.ts';
import { processSchema, sharedSchema } from '../keys/schema.ts';
import type { Good } from '../load.ts';
import { type Path, placeText } from '../read/problem.ts';
import { shownProxy, shownProxyUrl } from '../resolve/egress.ts';
import type { Inherited, Origin } from '../resolve/inherit.ts';
import { shownPem } from '../resolve/pem.ts';

const BUILT_IN = 'built-in';

/** True for a value that the file or a preset sets. */
export const isWritten = ({ origin }: EffectiveValue): boolean => origin !== BUILT_IN;

/** One value in effect, in the form of the file, and where it was set. Secrets are redacted. */
export interface EffectiveValue {
  readonly key: string;
  readonly shown: string;
  /** `built-in` or `config.yaml:12 (upstreams.stripe)`. */
  readonly origin: string;
}

/** The settings of a route, in the order of the schema. */
export function routeValues({ config, origins, places }: Good, route: RouteConfig): EffectiveValue[] {
  const inherited = origins.get(route);
  if (inherited === undefined) return [];
  const names = new CredentialNames(route.settings.identity);
  return leavesOf(sharedSchema, []).flatMap(({ path, kind, nullWord = 'off' }) => {
    if (path.at(-1) === '') return mapValues(path.slice(0, -1), inherited, { config, places, names });
    const key = path.join('.');
    const origin = inherited.origins.get(key);
    if (origin === undefined) return [];
    const value = path.reduce<unknown>((at, name) => (at as Item)[name], inherited.values);
    const from = originText(origin, key, { config, places });
    if (kind === 'list') {
      const isSecretAt = (name: string, at: Path) =>
        places.replaced([...origin.path, ...at]).length > 0 || names.isSecret(name);
      const items = (value as readonly Item[]).map((item, index) => redacted(item, [index], isSecretAt));
      return listed(key, items as readonly Item[], from);
    }
    const secret = path.at(-1) === 'body' && places.replaced(origin.path).length > 0;
    return [
      {
        key,
        shown: secret ? REDACTED : withoutSecrets(value === null ? nullWord : show(value, kind), path),
        origin: from,
      },
    ];
  });
}

/** One value for each name in a map of headers. */
function mapValues(
  path: readonly string[],
  { origins, values }: Inherited<unknown>,
  at: Pick<Good, 'config' | 'places'> & { readonly names: CredentialNames },
): EffectiveValue[] {
  const found = path.reduce<unknown>((outer, key) => (outer as Item | undefined)?.[key], values);
  return Object.entries((found ?? {}) as Item).flatMap(([name, value]) => {
    const key = [...path, name].join('.');
    const origin = origins.get(key);
    if (origin === undefined) return [];
    const secret = at.places.replaced(origin.path).length > 0 || at.names.isSecret(name);
    return [{ key, shown: secret ? REDACTED : String(value), origin: originText(origin, key, at) }];
  });
}

/** The keys of the process, in the order of the schema. Keys without a value are left out. */
export function processValues(loaded: Good): EffectiveValue[] {
  const { config, places, process } = loaded;
  return leavesOf(processSchema, []).flatMap((leaf) => {
    const key = leaf.path.join('.');
    // An address has two parts, which are written together.
    const origin = process.origins.get(key) ?? process.origins.get(`${key}.host`);
    if (origin === undefined) return [];
    const value = leaf.path.reduce<unknown>((at, name) => (at as Item)[name], process.values);
    if (origin.layer.name === undefined)
      return [{ key, shown: processValue(leaf, value), origin: 'built-in' }];
    const from = placeText(places.value(leaf.path), config.file);
    if (leaf.kind === 'list') return listed(key, (value as readonly Item[]).map(withoutSecretKeys), from);
    const secret = isSecret(leaf.path.at(-1) ?? '') || key === 'tls.key';
    return [{ key, shown: secret ? REDACTED : processValue(leaf, value), origin: from }];
  });
}

function processValue({ path, kind, nullWord = 'off' }: Leaf, value: unknown): string {
  if (value === null) return nullWord;
  if (isAddress(value)) return shownAddress(value);
  return withoutSecrets(withoutUrlSecrets(show(value, kind as Kind)), path);
}

const isAddress = (value: unknown): value is Address =>
  typeof value === 'object' && value !== null && 'host' in value && 'port' in value;

const shownAddress = ({ host, port }: Address): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** The URL of a database, without secrets. */
export const shownStore = withoutUrlSecrets;

/** The path of a webhook is its secret. The URL of a database may have a password before the host, or in its query. */
function withoutUrlSecrets(shown: string): string {
  const url = shown.includes('://') ? URL.parse(shown) : null;
  if (url === null) return shown;
  const { protocol, origin, pathname, search } = url;
  if (protocol === 'http:' || protocol === 'https:')
    return pathname + search === '/' ? origin : `${origin}/${REDACTED}`;
  const query = search === '' ? '' : `?${REDACTED}`;
  return `${protocol}//${url.username === '' ? '' : `${REDACTED}@`}${url.host}${pathname}${query}`;
}

function originText(
  { layer, path }: Origin,
  key: string,
  { config, places }: Pick<Good, 'config' | 'places'>,
): string {
  if (layer.name === undefined) return BUILT_IN;
  return layer.describe?.(key) ?? `${placeText(places.value(path), config.file)} (${layer.name})`;
}

type Item = Readonly<Record<string, unknown>>;

function withoutSecretKeys(item: Item): Item {
  return Object.fromEntries(
    Object.entries(item).map(([key, value]) => [key, isSecret(key) ? REDACTED : value]),
  );
}

/** A copy of a value in which `isSecretAt` decides, by the name and the path of each text, which ones are redacted. */
function redacted(value: unknown, path: Path, isSecretAt: (name: string, path: Path) => boolean): unknown {
  if (Array.isArray(value)) return value.map((item, index) => redacted(item, [...path, index], isSecretAt));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([key, child]) => [key, redacted(child, [...path, key], isSecretAt)]),
    );
  return typeof value === 'string' && isSecretAt(String(path.at(-1)), path) ? REDACTED : value;
}

/** One value for each map of a list, with its own source if it names one. */
function listed(key: string, items: readonly Item[], from: string): EffectiveValue[] {
  return items.map(({ source, ...rest }, index) => ({
    key: `${key}[${index}]`,
    shown: flow(rest),
    origin: typeof source === 'string' ? from.replace(/ \(http.*\)$/, ` (${source})`) : from,
  }));
}

/** A value as YAML in one line. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  return `{ ${Object.entries(value)
    .flatMap(([key, child]) => (child === undefined ? [] : [`${key}: ${flow(child)}`]))
    .join(', ')} }`;
}

/** A PEM is too long to show, and may be secret. The URL of a proxy may contain a password. */
function withoutSecrets(shown: string, path: readonly string[]): string {
  if (shown === '') return '""';
  return path.at(-1) === 'proxy' ? shownProxyUrl(shown) : shownPem(shown);
}

interface Address {
  readonly host: string;
  readonly port: number;
}

interface Leaf {
  readonly path: readonly string[];
  readonly kind: Kind | 'list';
  readonly nullWord?: string | undefined;
}

function leavesOf(schema: Parameters<typeof keysOf>[0], path: readonly string[]): Leaf[] {
  return Object.entries(keysOf(schema) ?? {}).flatMap(([name, child]) => {
    const leaf = leafOf(child);
    const below = [...path, name];
    if (isList(child)) return [{ path: below, kind: 'list' }];
    return leaf === undefined
      ? leavesOf(child, below)
      : [{ path: below, kind: leaf.kind, nullWord: leaf.nullWord }];
  });
}

function show(value: unknown, kind: Kind): string {
  if (Array.isArray(value)) return `[${value.map((item) => show(item, kind)).join(', ')}]`;
  if (kind === 'window') return formatWindow(value as ConfiguredWindow);
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

/** The settings that only upstreams have: url, proxy, mount, allow_private, allow. */
export function upstreamValues(loaded: Good, upstream: UpstreamConfig): EffectiveValue[] {
  const { name, mount, tenants, allowPrivate, allow, connection } = upstream;
  const { places } = loaded;
  const path: Path = ['upstreams', name];
  const value = (keys: Path, shown: string): EffectiveValue => ({
    key: keys.join('.'),
    shown,
    origin: written(loaded, [...path, ...keys], `upstreams.${name}`),
  });
  return [
    places.has([...path, 'url']) || !places.has([...path, 'preset'])
      ? value(['url'], shownUrl(upstream))
      : { ...value(['preset'], shownUrl(upstream)), key: 'url' },
    ...(connection.proxy === undefined
      ? []
      : [{ key: 'reached through', shown: shownProxy(connection.proxy), origin: 'connection.proxy' }]),
    'path' in mount ? value(['mount', 'path'], mount.path || '/') : value(['mount', 'host'], mount.host),
    ...(tenants === undefined
      ? []
      : tenantValues(tenants).map(([key, shown]) => value(['tenant', key], shown))),
    value(['allow_private'], String(allowPrivate)),
    ...targetValues(upstream, value),
    ...(allow === undefined ? [] : [value(['allow'], shownAllow(allow))]),
  ];
}

function tenantValues({ header, matches, dots, max }: TenantOptions): [string, string][] {
  return [
    ...(header === undefined ? [] : [['header', header] as [string, string]]),
    ...(matches === undefined ? [] : [['matches', matches] as [string, string]]),
    ['dots', String(dots)],
    ['max', String(max)],
  ];
}

const shownAllow = ({ mode, rules }: AllowList): string =>
  `${mode === 'shadow' ? 'shadow: ' : ''}[${rules.map(shownRule).join(', ')}]`;

const shownRule = ({ methods, path }: AllowRule): string => `${methods?.join() ?? 'ANY'} ${path}`;

/** The changes of a route to request headers, and where each was set. */
export function headerValues({ config, origins, places }: Good, route: RouteConfig): EffectiveValue[] {
  const { set, remove } = route.headers;
  const names = new CredentialNames(route.settings.identity);
  const value = (key: string, show: (path: Path) => string): EffectiveValue => {
    const origin = origins.get(route)?.origins.get(key);
    if (origin === undefined) return { key, shown: show([]), origin: 'allow' };
    const place = placeText(places.value(origin.path), config.file);
    return { key, shown: show(origin.path), origin: `${place} (${origin.layer.name})` };
  };
  return [
    ...set.map(([header, text]) =>
      value(`headers.set.${header}`, (path) => {
        const secret = places.replaced(path).length > 0 || names.isSecret(header);
        return secret ? REDACTED : text;
      }),
    ),
    ...(remove.length > 0 ? [value('headers.remove', () => `[${remove.join(', ')}]`)] : []),
  ];
}

/** The credential that the proxy adds, and where each part was set. */
export function authValues({ config, origins, places }: Good, route: RouteConfig): EffectiveValue[] {
  const inherited = origins.get(route);
  const { auth } = route.settings;
  if (inherited === undefined || auth === undefined) return [];
  const found = inherited.origins.written(`auth.${auth.kind}.`);
  const innermost = Math.max(...found.map(([, { depth }]) => depth));
  return found.flatMap(([key, origin]) => {
    if (origin.depth < innermost) return [];
    const value = key.split('.').reduce<unknown>((at, part) => (at as Item)[part], inherited.values);
    const secret = places.replaced(origin.path).length > 0 || !OPEN_AUTH_KEYS.has(key);
    const shown = secret ? REDACTED : flow(value);
    return [{ key, shown, origin: originText(origin, key, { config, places }) }];
  });
}

/** Keys of `auth` that hold no secret. */
const OPEN_AUTH_KEYS: ReadonlySet<string> = new Set([
  'auth.oauth2.token_url',
  'auth.oauth2.client_id',
  'auth.oauth2.client_auth',
  'auth.oauth2.key_id',
  'auth.oauth2.assertion_audience',
  'auth.oauth2.scope',
  'auth.oauth2.audience',
  'auth.oauth2.allow_private',
  'auth.sigv4.service',
  'auth.sigv4.region',
]);

/** The upstream's URL. A path that came by `${…}` is redacted: it may be the secret of a webhook. */
export function shownUrl({
  origin,
  basePath,
  privatePath,
}: Pick<UpstreamConfig, 'origin' | 'basePath' | 'privatePath'>): string {
  return `${origin}${privatePath && basePath !== '' ? `/${REDACTED}` : basePath}`;
}

function written({ config, places }: Good, path: Path, layer: string): string {
  return places.has(path) ? `${placeText(places.value(path), config.file)} (${layer})` : BUILT_IN;
}

/** One value for each target. */
function targetValues(
  { targets = [], sticky }: UpstreamConfig,
  value: (keys: Path, shown: string) => EffectiveValue,
): EffectiveValue[] {
  const shown = targets.map((target, index) => {
    const body = target.body.set.map(([pointer]) => `/${pointer.join('/')}`);
    const parts = [
      shownUrl(target),
      `weight ${target.weight}`,
      `tier ${target.tier}`,
      ...(body.length === 0 ? [] : [`sets ${body.join(', ')} in the body`]),
    ];
    return { ...value(['targets', index], parts.join(', ')), key: `target ${target.name}` };
  });
  return sticky === undefined ? shown : [...shown, value(['sticky'], `header:${sticky}`)];
}
