import { METHODS } from '../../runtime/node-http.ts';
import { didYouMean } from './did-you-mean.ts';
import type { Check } from './fields.ts';

/** Names of upstreams. They become paths and metric labels. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9_-]{0,62}$/;
export const NAME_PROBLEM =
  'is not a valid name; write up to 63 of a-z, 0-9, _ and -, with a letter or a digit first';
const ROUTE_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
/** Name of the route for calls that no other route matches. */
export const CATCH_ALL = 'default';
/** Problem of a route that matches neither a method nor a path. */
export const MATCH_MISSING = 'is missing; write for example match: { method: POST, path: /v1/orders }';
/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Headers that the proxy writes itself: they frame the message or name the next hop (RFC 9110 §7.2, §7.6.1; RFC 9112 §6). */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Checks the name of a header. */
export const checkHeaderName: Check = (name) => {
  if (!TOKEN.test(name)) return `"${name}" is not a header name; write for example x-api-key`;
  return OWN_HEADERS.has(name.toLowerCase())
    ? `"${name}" cannot be set, because the proxy writes it itself; remove it`
    : undefined;
};

/** Checks the value of a header. Messages do not quote it: it may be a secret. */
export const checkHeaderValue: Check = (value) =>
  // RFC 9110 §5.5: visible characters, space and tab; Node writes headers as latin1.
  /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
    ? undefined
    : 'contains a character that is not allowed in a header, such as a line break; remove it';

export const checkToken: Check = (token) =>
  token === ''
    ? 'is empty, which would open the admin API; write a token, or remove the key'
    : checkHeaderValue(token);

/** Checks a host name. `*.` at the start is all names below. */
export const checkHostName: Check = (name) =>
  /^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(name)
    ? undefined
    : `"${name}" is not a host name; write one without a port, for example app.example.com or *.example.com`;

/** Checks a server name. SNI has names only, no IP addresses (RFC 6066 §3). */
export const checkServername: Check = (name) =>
  /^(?=.*[a-z_-])[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(name)
    ? undefined
    : `"${name}" is not a host name; write for example api.example.com`;

export const checkMethod: Check = (method) =>
  TOKEN.test(method) ? undefined : `"${method}" is not a method; write for example GET or [GET, POST]`;

/** The warning for an unknown method; undefined for a known one. It is no error, because HTTP/2 clients can send any method. */
export function oddMethod(method: string): string | undefined {
  const sent = method.toUpperCase();
  if (sent === 'ANY' || sent === '*' || METHODS.includes(sent)) return undefined;
  const meant = didYouMean(sent, METHODS);
  const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
  return `no client of HTTP/1.1 can send the method "${method}"${hint}`;
}

export const checkName: Check = (name) => {
  if (name === CATCH_ALL)
    return `"${CATCH_ALL}" is the built-in route of all other calls; write another name, or set the values in the upstream itself`;
  return ROUTE_NAME.test(name)
    ? undefined
    : `"${name}" is not a name; write up to 63 letters, digits, _ . or -`;
};

/**
 * A path pattern is literal text with `*`, `**` and `:name`. The syntax of regular expressions, OpenAPI and other routers
 * would be taken literally and would match no call.
 */
export const checkPathPattern: Check = (path) => {
  if (path.startsWith('^') || path.endsWith('$'))
    return `"${path}" is a regular expression, not a path pattern; write for example /v1/** (a pattern matches the whole path)`;
  if (!path.startsWith('/')) return `"${path}" does not start with /; write /${path}`;
  if (/[?#\s]/.test(path))
    return `"${path}" contains ?, # or a space; write only the path, without the query`;
  for (const segment of path.slice(1).split('/')) {
    const wrong = segmentProblem(segment);
    if (wrong !== undefined) return `"${path}": ${wrong}`;
  }
  return undefined;
};

/** Segments that match no call, or other calls than intended, and what to write instead. */
const SEGMENT_PROBLEMS: readonly (readonly [RegExp, string])[] = [
  [/^\.\.?$/, 'is a dot segment, which is never in a path; remove it'],
  [/\*\*./, 'is not a segment; write ** alone between slashes'],
  [/.\*\*/, 'is not a segment; write ** alone between slashes'],
  [/\{.*\}/, 'is matched literally; write :id, or * for any segment'],
  [/\|/, 'is matched literally; write one route for each alternative'],
  [/^\.[*+]$/, 'is a regular expression; write * or **'],
  [/^:(?!\w+$)/, 'is not a name: a name takes the whole segment; write * for a part of it'],
];

function segmentProblem(segment: string): string | undefined {
  const found = SEGMENT_PROBLEMS.find(([syntax]) => syntax.test(segment));
  if (found !== undefined) return `"${segment}" ${found[1]}`;
  const never = /[^\w\-.~!$&'()*+,;=:@%]/u.exec(segment)?.[0];
  if (never !== undefined) return `"${never}" is never in a path unencoded; write ${percentEncoded(never)}`;
  const odd = segment.match(/%.{0,2}/g)?.find((encoded) => normalised(encoded) !== encoded);
  return odd && `"${odd}" never matches, because paths are normalised; write ${normalised(odd)}`;
}

/** A percent-encoded character as the router normalises it (RFC 3986 §6.2.2). */
function normalised(encoded: string): string {
  if (!/^%[0-9a-f]{2}$/i.test(encoded)) return `%25${encoded.slice(1)}`;
  const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
  return /[\w\-.~]/.test(character) ? character : encoded.toUpperCase();
}

const percentEncoded = (character: string): string =>
  [...Buffer.from(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');

/** Methods in upper case; undefined: any. */
export function methodsOf(written: readonly string[] | undefined): readonly string[] | undefined {
  const methods = written?.map((method) => method.toUpperCase());
  if (methods === undefined || methods.length === 0) return undefined;
  return methods.includes('ANY') || methods.includes('*') ? undefined : [...new Set(methods)];
}

/** Checks a path of the proxy itself. */
export const checkOwnPath: Check = (path) =>
  /^(\/[A-Za-z0-9\-._~]+)+$/.test(path) && !/\/\.\.?(\/|$)/.test(path)
    ? undefined
    : `"${path}" is not a path; write for example /_breakwater`;

/** Checks one entry of an allow-list. */
export const checkAllowed: Check = (entry) => {
  const [methods = '', path, ...more] = entry.trim().split(/\s+/);
  if (path === undefined || more.length > 0) {
    const example = methods.startsWith('/') ? `GET ${methods}, or ANY ${methods}` : 'GET /v1/**';
    return `"${entry}" is not a method and a path; write for example ${example}`;
  }
  const wrong = methods.split(',').find((method) => checkMethod(method) !== undefined);
  return wrong === undefined ? checkPathPattern(path) : checkMethod(wrong);
};
