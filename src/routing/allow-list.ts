import { pathPattern } from './path-pattern.ts';
import { climbs, dotsBesideSeparator, MAX_DECODINGS, resolveDots } from './request-path.ts';

/** One entry of an allow-list. */
export interface AllowRule {
  /** Upper-case; undefined: any. */
  readonly methods: readonly string[] | undefined;
  /** Pattern below the mount, as in routes. */
  readonly path: string;
}

/** The calls that may be sent to an upstream. */
export interface AllowList {
  /** `shadow`: other calls are sent and reported. */
  readonly mode: 'enforce' | 'shadow';
  readonly rules: readonly AllowRule[];
}

/**
 * A function that tests whether `rules` allow a call. `path` is below the mount, without query, with unreserved characters
 * decoded. Servers read unusual paths in different ways, and the way of this upstream is unknown. So *every* way to read the
 * path must be allowed for the method.
 */
export function allowList(rules: readonly AllowRule[]): (method: string, path: string) => boolean {
  const compiled = rules.map(({ methods, path }) => ({
    methods: methods && new Set(methods),
    path: pathPattern(path),
  }));
  return (method, path) => {
    const patterns = compiled.filter(({ methods }) => methods === undefined || methods.has(method));
    const allowed = (reading: string) => patterns.some((rule) => rule.path(reading));
    return ODD.test(path) ? (readings(path)?.every(allowed) ?? false) : allowed(path === '' ? '/' : path);
  };
}

/** A path without these can be read in only one way. */
const ODD = /[%\\;#]|\/\/|\/\./;

/**
 * Characters that no path needs, and that some servers cut off or decode in their own way: control characters, bytes that are
 * never UTF-8 (the overlong `%C0%AF` is a slash for some servers), and `%u002F`.
 */
// oxlint-disable-next-line no-control-regex
const POISON = /[\x00-\x1f\x7f\xc0\xc1\xf5-\xff]|%u/i;

/** Changes that a server may make to a path before it looks for the resource, in any combination. */
const LIBERTIES: readonly ((path: string) => string)[] = [
  (path) => path.replace(/[?#].*/, ''),
  (path) => path.replaceAll('\\', '/'),
  (path) => path.replace(/;[^/]*/g, ''),
  (path) => path.replace(/\/{2,}/g, '/'),
];

/** Every way to read a path; undefined if one of them must not be sent. */
function readings(path: string): string[] | undefined {
  const found = new Set<string>();
  let decoded = path;
  for (let times = 0; times <= MAX_DECODINGS; times++) {
    if (POISON.test(decoded)) return undefined;
    for (let taken = 0; taken < 1 << LIBERTIES.length; taken++) {
      const read = LIBERTIES.reduce((text, liberty, i) => ((taken >> i) & 1 ? liberty(text) : text), decoded);
      if (climbs(read) || dotsBesideSeparator(read)) return undefined;
      found.add(resolveDots(read));
    }
    const next = decoded.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
    if (next === decoded) break;
    decoded = next;
  }
  return [...found];
}
