import { segmentEnd } from '../http/path-shape.ts';
import { type AllowList, allowList } from './allow-list.ts';
import { climbs, decodeUnreserved, resolveDots } from './request-path.ts';
import { RouteIndex } from './route-index.ts';

/**
 * The mount of an upstream: a path ('' is the root) or a Host. One segment of the path, or the first label of the host, may be a
 * placeholder such as `{shop}`: its text names the tenant of a call.
 */
export type Mount = { readonly path: string } | { readonly host: string };

export interface MountedUpstream<R> {
  readonly mount: Mount;
  /** Path of the upstream's URL without a trailing slash; '' for none. */
  readonly basePath: string;
  /** The allow-list; undefined: every call may be sent. */
  readonly allow?: AllowList | undefined;
  /** The first route that matches wins. */
  readonly routes: readonly RoutePattern<R>[];
}

export interface RoutePattern<R> {
  /** Upper-case methods; undefined means any. */
  readonly methods: readonly string[] | undefined;
  /** Pattern below the mount: `/v1/charges/:id`; `*` is one segment, `**` any number of them. */
  readonly path: string;
  readonly route: R;
}

export type Match<R> =
  | {
      readonly kind: 'route';
      readonly route: R;
      /** Target for the upstream: `path` below the path of its URL. */
      readonly target: string;
      /** Path and query below the mount, as the client sent them. */
      readonly path: string;
      /** The text of the mount's placeholder, unchecked; undefined if the mount has none. */
      readonly tenant: string | undefined;
      /** The allow-list is in shadow mode, and would deny this call. */
      readonly unlisted?: true;
    }
  /** The upstream's allow-list does not allow this call. */
  | { readonly kind: 'denied'; readonly route: R; readonly path: string; readonly why: string }
  | { readonly kind: 'none'; readonly why: string }
  | { readonly kind: 'bad_target'; readonly why: string };

interface Compiled<R> {
  /** Up to the placeholder, if the path has one. */
  readonly mountPath: string;
  /** The path after the placeholder, such as '' or `/admin`; undefined if the path has none. */
  readonly afterTenant: string | undefined;
  /** The number of segments of the whole path. */
  readonly segments: number;
  /** Begins with a dot if a placeholder is in front of it. */
  readonly host: string | undefined;
  readonly basePath: string;
  /** The mount, the base path or the allow-list is a bound that `..` in a path could leave. */
  readonly bounded: boolean;
  readonly allows: ((method: string, path: string) => boolean) | undefined;
  /** The allow-list denies nothing. */
  readonly shadow: boolean;
  readonly routes: RouteIndex<R>;
}

/**
 * Finds the route of a request. Matching uses a normalised copy of the path (unreserved characters decoded, dot segments
 * resolved). The client's own target below the mount is forwarded, byte for byte.
 */
export class Router<R> {
  readonly #own: Compiled<R> | undefined;
  readonly #byHost: ReadonlyMap<string, Compiled<R>>;
  /** Those whose host names the tenant; the longest one first. */
  readonly #byTenantHost: readonly Compiled<R>[];
  /** By the first segment of the mount; the longest mount first, so that /a/b is not shadowed by /a. */
  readonly #byPath: ReadonlyMap<string, readonly Compiled<R>[]>;

  /** `own`: an internal mount that comes before all upstreams, for any Host. */
  constructor(upstreams: readonly MountedUpstream<R>[], own?: MountedUpstream<R>) {
    this.#own = own && compileUpstream(own);
    const compiled = upstreams.map(compileUpstream);
    // Of two upstreams with the same host, the first one wins.
    this.#byHost = new Map(
      compiled
        .toReversed()
        .flatMap((upstream) => (upstream.host === undefined ? [] : [[upstream.host, upstream]])),
    );
    const byPath = compiled.filter((upstream) => upstream.host === undefined);
    byPath.sort((a, b) => b.mountPath.length - a.mountPath.length || b.segments - a.segments);
    this.#byTenantHost = compiled
      .filter(namesTenantByHost)
      .sort((a, b) => (b.host?.length ?? 0) - (a.host?.length ?? 0));
    this.#byPath = Map.groupBy(byPath, ({ mountPath }) => firstSegment(mountPath));
  }

  match(method: string, host: string | undefined, target: string): Match<R> {
    if (target.charCodeAt(0) !== SLASH) {
      return {
        kind: 'bad_target',
        why: 'the request target must be a path, because this is not a forward proxy; send for example GET /api/items',
      };
    }
    const query = target.indexOf('?');
    const rawPath = query < 0 ? target : target.slice(0, query);
    const plain = decodeUnreserved(rawPath);
    const name = this.#nameOf(host);
    const upstream = this.#upstreamOf(name, plain);
    if (upstream === undefined) return { kind: 'none', why: `no upstream is mounted at ${shown(plain)}` };

    const rest = plain.slice(endOfMount(plain, upstream));
    // Without a bound, `..` in a path can leave nothing.
    if (upstream.bounded && climbs(rest)) {
      return { kind: 'bad_target', why: 'the path leaves its mount by ..; remove the .. segments' };
    }
    const below = resolveDots(rest);
    const route = upstream.routes.find(method, below);
    if (route === undefined) return { kind: 'none', why: `no route matches ${method} ${shown(below)}` };
    const match = matched(upstream, route, target, tenantOf(upstream, name, plain));
    if (upstream.allows?.(method, rest) !== false) return match;
    if (upstream.shadow) return { ...match, unlisted: true };
    const why = `${method} ${shown(below)} is not on this upstream's allow-list`;
    return { kind: 'denied', route, path: match.path, why };
  }

  #upstreamOf(host: string | undefined, path: string): Compiled<R> | undefined {
    if (this.#own !== undefined && isBelow(path, this.#own)) return this.#own;
    const byHost = host === undefined ? undefined : this.#mountedAt(host);
    if (byHost !== undefined) return byHost;
    return firstAbove(path, this.#byPath.get(firstSegment(path))) ?? firstAbove(path, this.#byPath.get(''));
  }

  /** The host name of a Host field; undefined if no mount needs it. */
  #nameOf(host: string | undefined): string | undefined {
    return this.#byHost.size > 0 ? host?.toLowerCase().replace(/:\d+$/, '') : undefined;
  }

  #mountedAt(host: string): Compiled<R> | undefined {
    return (
      this.#byHost.get(host) ?? this.#byTenantHost.find((upstream) => host.endsWith(upstream.host as string))
    );
  }
}

const namesTenantByHost = ({ host }: Compiled<unknown>): boolean => host?.startsWith('.') === true;

/** The first upstream whose mount has `path` below it. */
function firstAbove<R>(path: string, upstreams: readonly Compiled<R>[] | undefined): Compiled<R> | undefined {
  if (upstreams !== undefined) for (const upstream of upstreams) if (isBelow(path, upstream)) return upstream;
  return undefined;
}

const SLASH = 47;

/** '' for the root. */
function firstSegment(path: string): string {
  const end = path.indexOf('/', 1);
  return path.slice(1, end < 0 ? path.length : end);
}

function isBelow(path: string, upstream: Compiled<unknown>): boolean {
  const { mountPath, afterTenant } = upstream;
  if (!path.startsWith(mountPath) || !endsSegment(path, mountPath.length)) return false;
  if (afterTenant === undefined) return true;
  const end = endOfMount(path, upstream);
  return path.startsWith(afterTenant, end - afterTenant.length) && endsSegment(path, end);
}

const endsSegment = (path: string, at: number): boolean =>
  path.length === at || path.charCodeAt(at) === SLASH;

/** Where the path below the mount begins. */
function endOfMount(path: string, { mountPath, afterTenant }: Compiled<unknown>): number {
  if (afterTenant === undefined) return mountPath.length;
  return endOfSegment(path, mountPath.length) + afterTenant.length;
}

/** The end of the segment whose slash is at `at`. */
function endOfSegment(path: string, at: number): number {
  const next = path.indexOf('/', at + 1);
  return next < 0 ? path.length : next;
}

function tenantOf(
  { afterTenant, mountPath, host: suffix }: Compiled<unknown>,
  host: string | undefined,
  path: string,
): string | undefined {
  if (afterTenant !== undefined)
    return path.slice(mountPath.length + 1, endOfSegment(path, mountPath.length));
  return suffix?.startsWith('.') === true ? host?.slice(0, -suffix.length) : undefined;
}

const PLACEHOLDER = /\{\w+\}/;

function compileUpstream<R>({ mount, basePath, allow, routes }: MountedUpstream<R>): Compiled<R> {
  const path = 'path' in mount ? mount.path.replace(/\/$/, '') : '';
  const [before = '', afterTenant] = path.split(PLACEHOLDER);
  return {
    allows: allow && allowList(allow.rules),
    shadow: allow?.mode === 'shadow',
    bounded: path !== '' || basePath !== '' || allow?.mode === 'enforce',
    mountPath: afterTenant === undefined ? path : before.slice(0, -1),
    afterTenant,
    segments: path.split('/').length - 1,
    host: 'host' in mount ? mount.host.toLowerCase().replace(PLACEHOLDER, '') : undefined,
    basePath,
    routes: new RouteIndex(routes),
  };
}

function matched<R>(
  { segments, basePath }: Compiled<R>,
  route: R,
  target: string,
  tenant: string | undefined,
) {
  const below = belowMount(segments, target);
  const path = below.charCodeAt(0) === SLASH ? below : `/${below}`;
  return { kind: 'route' as const, route, target: basePath === '' ? path : basePath + below, path, tenant };
}

/** Cuts the mount off the raw target by segments: the client may have percent-encoded its letters. */
function belowMount(segments: number, target: string): string {
  let at = 0;
  for (let left = segments; left > 0; left--) at = segmentEnd(target, at + 1);
  return target.slice(at);
}

/** A path as it is shown in messages: short, because it may contain anything. */
function shown(path: string): string {
  return path.length > 80 ? `${path.slice(0, 80)}…` : path;
}
