/** Where an upstream is reached: below a path ('' is the root) or under a Host of its own. */
export type Mount = { readonly path: string } | { readonly host: string };

export interface MountedUpstream<R> {
  readonly mount: Mount;
  /** Path of the upstream's URL without a trailing slash; '' for none. */
  readonly basePath: string;
  /** In order; the first that matches wins. */
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
  | { readonly kind: 'route'; readonly route: R; readonly target: string }
  | { readonly kind: 'none'; readonly why: string }
  | { readonly kind: 'bad_target'; readonly why: string };

interface Compiled<R> {
  readonly mountPath: string;
  readonly host: string | undefined;
  readonly basePath: string;
  readonly routes: readonly {
    readonly methods: ReadonlySet<string> | undefined;
    readonly path: RegExp;
    readonly route: R;
  }[];
}

/**
 * Finds the route of a request. Matching looks at a normalised copy of the path (unreserved characters decoded, dot
 * segments resolved); what is forwarded is the client's own target, byte for byte, below the mount.
 */
export class Router<R> {
  readonly #byHost: readonly Compiled<R>[];
  readonly #byPath: readonly Compiled<R>[];

  constructor(upstreams: readonly MountedUpstream<R>[]) {
    const compiled = upstreams.map(compileUpstream);
    this.#byHost = compiled.filter((upstream) => upstream.host !== undefined);
    // The longest mount first, so that /a/b is not shadowed by /a.
    this.#byPath = compiled
      .filter((upstream) => upstream.host === undefined)
      .sort((a, b) => b.mountPath.length - a.mountPath.length);
  }

  match(method: string, host: string | undefined, target: string): Match<R> {
    if (target.charCodeAt(0) !== SLASH) {
      return { kind: 'bad_target', why: 'the request target must be a path; this is not a forward proxy' };
    }
    const query = target.indexOf('?');
    const rawPath = query < 0 ? target : target.slice(0, query);
    const plain = decodeUnreserved(rawPath);
    const upstream = this.#upstreamOf(host, plain);
    if (upstream === undefined) return { kind: 'none', why: `no upstream is mounted at ${shown(plain)}` };

    const rest = plain.slice(upstream.mountPath.length);
    const below = resolveDots(rest);
    if (below === undefined || climbsDecoded(rest)) {
      return { kind: 'bad_target', why: 'the path climbs out of its mount' };
    }
    for (const { methods, path, route } of upstream.routes) {
      if ((methods === undefined || methods.has(method)) && path.test(below)) {
        return { kind: 'route', route, target: forwarded(upstream, target) };
      }
    }
    return { kind: 'none', why: `no route matches ${method} ${shown(below)}` };
  }

  #upstreamOf(host: string | undefined, path: string): Compiled<R> | undefined {
    if (this.#byHost.length > 0 && host !== undefined) {
      const name = host.toLowerCase().replace(/:\d+$/, '');
      for (const upstream of this.#byHost) if (upstream.host === name) return upstream;
    }
    for (const upstream of this.#byPath) {
      const { mountPath } = upstream;
      if (!path.startsWith(mountPath)) continue;
      if (path.length === mountPath.length || path.charCodeAt(mountPath.length) === SLASH) return upstream;
    }
    return undefined;
  }
}

const SLASH = 47;

function compileUpstream<R>({ mount, basePath, routes }: MountedUpstream<R>): Compiled<R> {
  return {
    mountPath: 'path' in mount ? mount.path.replace(/\/$/, '') : '',
    host: 'host' in mount ? mount.host.toLowerCase() : undefined,
    basePath,
    routes: routes.map(({ methods, path, route }) => ({
      methods: methods === undefined ? undefined : new Set(methods),
      path: pathPattern(path),
      route,
    })),
  };
}

/** `/v1/*` is one segment, `/v1/**` is /v1 and everything below it, `:name` is one segment. */
export function pathPattern(pattern: string): RegExp {
  const source = pattern
    .split('/')
    .slice(1)
    .map((segment) => {
      if (segment === '**') return '(?:/.*)?';
      if (segment === '*' || segment.startsWith(':')) return '/[^/]+';
      return `/${segment.split('*').map(escaped).join('[^/]*')}`;
    })
    .join('');
  return new RegExp(`^${source}$`);
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** Cuts the mount off the raw target by segments, for the client may have written its letters in per cent. */
function forwarded(upstream: Compiled<unknown>, target: string): string {
  let rest = target;
  for (let segments = upstream.mountPath.split('/').length - 1; segments > 0; segments--) {
    rest = rest.slice(1).replace(/^[^/?]*/, '');
  }
  if (upstream.basePath === '') return rest.charCodeAt(0) === SLASH ? rest : `/${rest}`;
  return upstream.basePath + rest;
}

/** RFC 3986 §6.2.2.2: only what never needed encoding is decoded, so no separator can appear. */
function decodeUnreserved(path: string): string {
  if (!path.includes('%')) return path;
  return path.replace(/%([0-9a-f]{2})/gi, (encoded, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : encoded.toUpperCase();
  });
}

/** Upstreams behind another proxy may decode this often. */
const MAX_DECODINGS = 3;

/** Whether dots that are encoded more than once climb for an upstream that decodes more than once. */
function climbsDecoded(path: string): boolean {
  let decoded = path;
  for (let i = 1; i < MAX_DECODINGS && decoded.includes('%25'); i++) {
    decoded = decodeUnreserved(decoded.replaceAll('%25', '%'));
    if (resolveDots(decoded) === undefined) return true;
  }
  return false;
}

/**
 * The path with `.` and `..` resolved (RFC 3986 §5.2.4), or undefined when it could climb above its start: upstreams
 * differ in what they take for a separator (`%2F`, `\`, `%5C`), and some cut parameters off a segment (`..;a=b`) or
 * merge slashes before they resolve. What climbs for any of them does not pass.
 */
function resolveDots(path: string): string | undefined {
  if (path === '') return '/';
  if (!path.includes('.')) return path;
  let depth = 0;
  for (const segment of path.split('/')) {
    const parts = segment.split(/\\|%2F|%5C/).map((part) => part.replace(/(?:;|%3B).*/, ''));
    if (parts.length > 1 && parts.includes('..')) return undefined;
    if (parts[0] === '..') depth--;
    else if (parts[0] !== '.' && parts[0] !== '') depth++;
    if (depth < 0) return undefined;
  }
  const resolved: string[] = [];
  const segments = path.split('/').slice(1);
  segments.forEach((segment, index) => {
    const last = index === segments.length - 1;
    if (segment === '..') resolved.pop();
    if (segment !== '.' && segment !== '..') resolved.push(segment);
    else if (last) resolved.push('');
  });
  return `/${resolved.join('/')}`;
}

/** Paths in messages are short: they may hold anything. */
function shown(path: string): string {
  return path.length > 80 ? `${path.slice(0, 80)}…` : path;
}
