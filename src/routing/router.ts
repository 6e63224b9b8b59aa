import { type AllowRule, allowList } from './allow-list.ts';
import { climbs, decodeUnreserved, resolveDots } from './request-path.ts';
import { RouteIndex } from './route-index.ts';

/** The mount of an upstream: a path ('' is the root) or a Host. */
export type Mount = { readonly path: string } | { readonly host: string };

export interface MountedUpstream<R> {
  readonly mount: Mount;
  /** Path of the upstream's URL without a trailing slash; '' for none. */
  readonly basePath: string;
  /** The allow-list; undefined: every call may be sent. */
  readonly allow?: readonly AllowRule[] | undefined;
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
    }
  /** The upstream's allow-list does not allow this call. */
  | { readonly kind: 'denied'; readonly route: R; readonly path: string; readonly why: string }
  | { readonly kind: 'none'; readonly why: string }
  | { readonly kind: 'bad_target'; readonly why: string };

interface Compiled<R> {
  readonly mountPath: string;
  readonly host: string | undefined;
  readonly basePath: string;
  /** The mount, the base path or the allow-list is a bound that `..` in a path could leave. */
  readonly bounded: boolean;
  readonly allows: ((method: string, path: string) => boolean) | undefined;
  readonly routes: RouteIndex<R>;
}

/**
 * Finds the route of a request. Matching uses a normalised copy of the path (unreserved characters decoded, dot segments
 * resolved). The client's own target below the mount is forwarded, byte for byte.
 */
export class Router<R> {
  readonly #own: Compiled<R> | undefined;
  readonly #byHost: ReadonlyMap<string, Compiled<R>>;
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
    byPath.sort((a, b) => b.mountPath.length - a.mountPath.length);
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
    const upstream = this.#upstreamOf(host, plain);
    if (upstream === undefined) return { kind: 'none', why: `no upstream is mounted at ${shown(plain)}` };

    const rest = plain.slice(upstream.mountPath.length);
    // Without a bound, `..` in a path can leave nothing.
    if (upstream.bounded && climbs(rest)) {
      return { kind: 'bad_target', why: 'the path leaves its mount by ..; remove the .. segments' };
    }
    const below = resolveDots(rest);
    const route = upstream.routes.find(method, below);
    if (route === undefined) return { kind: 'none', why: `no route matches ${method} ${shown(below)}` };
    const match = matched(upstream, route, target);
    if (upstream.allows?.(method, rest) !== false) return match;
    const why = `${method} ${shown(below)} is not on this upstream's allow-list`;
    return { kind: 'denied', route, path: match.path, why };
  }

  #upstreamOf(host: string | undefined, path: string): Compiled<R> | undefined {
    if (this.#own !== undefined && isBelow(path, this.#own)) return this.#own;
    if (this.#byHost.size > 0 && host !== undefined) {
      const upstream = this.#byHost.get(host.toLowerCase().replace(/:\d+$/, ''));
      if (upstream !== undefined) return upstream;
    }
    return (
      this.#byPath.get(firstSegment(path))?.find((upstream) => isBelow(path, upstream)) ??
      this.#byPath.get('')?.[0]
    );
  }
}

const SLASH = 47;

/** '' for the root. */
function firstSegment(path: string): string {
  const end = path.indexOf('/', 1);
  return path.slice(1, end < 0 ? path.length : end);
}

function isBelow(path: string, { mountPath }: Compiled<unknown>): boolean {
  if (!path.startsWith(mountPath)) return false;
  return path.length === mountPath.length || path.charCodeAt(mountPath.length) === SLASH;
}

function compileUpstream<R>({ mount, basePath, allow, routes }: MountedUpstream<R>): Compiled<R> {
  const mountPath = 'path' in mount ? mount.path.replace(/\/$/, '') : '';
  return {
    allows: allow && allowList(allow),
    bounded: mountPath !== '' || basePath !== '' || allow !== undefined,
    mountPath,
    host: 'host' in mount ? mount.host.toLowerCase() : undefined,
    basePath,
    routes: new RouteIndex(routes),
  };
}

function matched<R>({ mountPath, basePath }: Compiled<R>, route: R, target: string) {
  const below = belowMount(mountPath, target);
  const path = below.charCodeAt(0) === SLASH ? below : `/${below}`;
  return { kind: 'route' as const, route, target: basePath === '' ? path : basePath + below, path };
}

/** Cuts the mount off the raw target by segments: the client may have percent-encoded its letters. */
function belowMount(mountPath: string, target: string): string {
  let rest = target;
  for (let segments = mountPath.split('/').length - 1; segments > 0; segments--) {
    rest = rest.slice(1).replace(/^[^/?]*/, '');
  }
  return rest;
}

/** A path as it is shown in messages: short, because it may contain anything. */
function shown(path: string): string {
  return path.length > 80 ? `${path.slice(0, 80)}…` : path;
}
