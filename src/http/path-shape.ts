// Two rules, because a wrong guess costs the opposite of the other. Timing: an identifier that is taken for a name has a shape
// of its own, of which nothing is ever learned; two models under one shape do little harm. Limits: two models under one shape
// share a limit that holds for one of them; an identifier that is taken for a name costs one probe.

const SLASH = 47;
const QUESTION_MARK = 63;
const ZERO = 48;
const NINE = 57;

/** For timing, a longer segment is taken for an identifier. */
const MAX_NAME = 24;

/** What stands in a shape for an identifier. */
const ANY = 42;

/**
 * Which requests take about the same time: a number for the method and the shape of the path, the same for `/users/17` and
 * `/users/18`. A segment with a digit in it, or a long one, is an identifier. The query does not count. Two shapes that
 * share a number by accident are taken for one, which is harmless. It makes no string, because it is computed for each attempt.
 */
export function timingShape(method: string, target: string): number {
  let hash = 2_166_136_261;
  for (let at = 0; at < method.length; at++) hash = mix(hash, method.charCodeAt(at));
  for (let at = 0; at < target.length && target.charCodeAt(at) !== QUESTION_MARK; ) {
    const end = segmentEnd(target, at + 1);
    hash = mix(hash, SLASH);
    if (isIdentifier(target, at + 1, end)) hash = mix(hash, ANY);
    else for (let i = at + 1; i < end; i++) hash = mix(hash, target.charCodeAt(i));
    at = end;
  }
  return hash;
}

function segmentEnd(target: string, from: number): number {
  let at = from;
  for (; at < target.length; at++) {
    const code = target.charCodeAt(at);
    if (code === SLASH || code === QUESTION_MARK) break;
  }
  return at;
}

/** `v1` is a version and no identifier. */
function isIdentifier(target: string, from: number, end: number): boolean {
  if (end - from > MAX_NAME) return true;
  if (end - from === 2 && target[from] === 'v') return false;
  for (let at = from; at < end; at++) {
    const code = target.charCodeAt(at);
    if (code >= ZERO && code <= NINE) return true;
  }
  return false;
}

/** FNV-1a, 32 bits. */
function mix(hash: number, code: number): number {
  return Math.imul(hash ^ code, 16_777_619);
}

/** For limits, a longer segment is taken for an identifier. */
const LONGEST_NAME = 64;

/** A path with more segments is cut. */
const MOST_SEGMENTS = 8;

/**
 * Which requests an API is likely to limit together: the method and the shape of the path, as `GET /users/*`. Only what is
 * clearly an identifier counts as one. Names of models stay apart (`gpt-4o-2024-08-06`), because an API limits each by itself.
 */
export function limitShape(method: string, target: string): string {
  const end = target.indexOf('?');
  const path = end < 0 ? target : target.slice(0, end);
  const segments = path.split('/', MOST_SEGMENTS + 1).slice(1);
  return `${method === 'HEAD' ? 'GET' : method} /${segments.map(limitSegment).join('/')}`;
}

const NUMBER = /^\d+$/;
const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;
/** `ch_3MmlLrLkdIwHu7ix0snN0B15`, and hashes in hexadecimal form. */
const TOKEN = /^\w{12,}$/;
/** Random text in base64url has all three. */
const RANDOM = /^[\w-]{20,}$/;

function limitSegment(segment: string): string {
  if (segment.length > LONGEST_NAME) return '*';
  const isId = NUMBER.test(segment) || UUID.test(segment) || isToken(segment) || isRandom(segment);
  return isId ? '*' : segment;
}

const isToken = (segment: string): boolean => TOKEN.test(segment) && /\d/.test(segment);

const isRandom = (segment: string): boolean =>
  RANDOM.test(segment) && /\d/.test(segment) && /[a-z]/.test(segment) && /[A-Z]/.test(segment);
