/** Decodes percent-encoded unreserved characters (RFC 3986 §6.2.2.2). They are no separators, so the structure stays. */
export function decodeUnreserved(path: string): string {
  if (!path.includes('%')) return path;
  return path.replace(/%([0-9a-f]{2})/gi, (encoded, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : encoded.toUpperCase();
  });
}

/** An upstream behind other proxies may decode a path this many times. */
export const MAX_DECODINGS = 3;

/**
 * Whether any server could read a path as one that leaves its start by `..`. Servers differ in their separators (`%2F`, `\\`,
 * `%5C`). Some cut parameters off a segment (`..;a=b`) or merge slashes before they resolve dots, and some decode more than
 * once. A path that leaves its start in one of these ways counts.
 */
export function climbs(path: string): boolean {
  if (climbsOnce(path)) return true;
  let decoded = path;
  for (let i = 1; i < MAX_DECODINGS && decoded.includes('%25'); i++) {
    decoded = decodeUnreserved(decoded.replaceAll('%25', '%'));
    if (climbsOnce(decoded)) return true;
  }
  return false;
}

/** Separators for only some servers. */
const SEPARATOR = /\\|%2F|%5C/;

/**
 * Whether a segment has `..` together with a separator that only some servers know. There would be too many ways to read it.
 */
export function dotsBesideSeparator(path: string): boolean {
  return path.split('/').some((segment) => {
    const parts = segment.split(SEPARATOR);
    return parts.length > 1 && parts.some((part) => step(part) === -1);
  });
}

/** Uses for each segment the way to read it that ends lowest, so that no combination of ways is lower. */
function climbsOnce(path: string): boolean {
  if (!path.includes('.')) return false;
  let depth = 0;
  for (const segment of path.split('/')) {
    const parts = segment.split(SEPARATOR).map(step);
    let lowest = 0;
    let end = 0;
    for (const part of parts) {
      end += part;
      lowest = Math.min(lowest, end);
    }
    if (depth + lowest < 0) return true;
    // Read as one segment with encoded separators, it is one step down.
    depth += parts.length > 1 ? Math.min(end, 1) : end;
    if (depth < 0) return true;
  }
  return false;
}

/** Steps down by a segment: 0 for an empty one, which a server may remove. */
function step(segment: string): -1 | 0 | 1 {
  const name = segment.replace(/(?:;|%3B).*/, '');
  if (name === '..') return -1;
  return name === '.' || name === '' ? 0 : 1;
}

/** The path with `.` and `..` resolved (RFC 3986 §5.2.4). `..` at the start is ignored. */
export function resolveDots(path: string): string {
  if (path === '') return '/';
  if (!path.includes('.')) return path;
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
