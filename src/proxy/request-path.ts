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

/** RFC 3986 §6.2.2.2: only what never needed encoding is decoded, so no separator can appear. */
export function decodeUnreserved(path: string): string {
  if (!path.includes('%')) return path;
  return path.replace(/%([0-9a-f]{2})/gi, (encoded, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : encoded.toUpperCase();
  });
}

/** Upstreams behind another proxy may decode this often. */
export const MAX_DECODINGS = 3;

/** Whether dots that are encoded more than once climb for an upstream that decodes more than once. */
export function climbsDecoded(path: string): boolean {
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
export function resolveDots(path: string): string | undefined {
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
