// Two rules, because their mistakes differ in cost. Timing: an identifier taken for a name gets its own shape, of which
// nothing is learned; two models with one shape do little harm. Limits: two models with one shape share a limit that applies
// to one of them; an identifier taken for a name costs one probe.

const SLASH = 47;
const QUESTION_MARK = 63;
const ZERO = 48;
const NINE = 57;

/** For timing, a longer segment is taken for an identifier. */
const MAX_NAME = 24;

/** The character in a shape in place of an identifier. */
const ANY = 42;

/**
 * A hash of the method and the shape of the path, to group requests of similar duration: `/users/17` and `/users/18` are
 * equal. A segment with a digit, or a long one, is an identifier. The query is ignored, and collisions are harmless. It
 * allocates no string, because it is computed for each attempt.
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

/** The end of the segment that begins at `from`, or the end of the path. */
export function segmentEnd(target: string, from: number): number {
  let at = from;
  for (; at < target.length; at++) {
    const code = target.charCodeAt(at);
    if (code === SLASH || code === QUESTION_MARK) break;
  }
  return at;
}

/** Whether a segment is an identifier. `v1` is a version. */
function isIdentifier(target: string, from: number, end: number): boolean {
  if (end - from > MAX_NAME) return true;
  if (end - from === 2 && target[from] === 'v') return false;
  return hasDigit(target, from, end);
}

/** FNV-1a, 32 bits. */
function mix(hash: number, code: number): number {
  return Math.imul(hash ^ code, 16_777_619);
}

/** For limits, a longer segment is taken for an identifier. */
const LONGEST_NAME = 64;

/** Segments of a shape. Further ones are dropped. */
const MOST_SEGMENTS = 8;

/**
 * The method and the shape of the path, such as `GET /users/*`, to group requests that an API is likely to limit together.
 * Only clear identifiers are replaced. Model names (`gpt-4o-2024-08-06`) are not, because APIs limit each model separately.
 * `target` begins with a slash.
 */
export function limitShape(method: string, target: string): string {
  let shape = method === 'HEAD' ? 'GET ' : `${method} `;
  // The shape has all that comes before.
  let from = 0;
  let at = 0;
  for (let segments = 0; segments < MOST_SEGMENTS && target.charCodeAt(at) === SLASH; segments++) {
    const end = segmentEnd(target, at + 1);
    if (isLimitId(target, at + 1, end)) {
      shape += `${target.slice(from, at + 1)}*`;
      from = end;
    }
    at = end;
  }
  return shape + target.slice(from, at);
}

/** A UUID is the only identifier that may have no digit. */
function isLimitId(target: string, from: number, end: number): boolean {
  const length = end - from;
  if (length > LONGEST_NAME) return true;
  // Most segments are short, and expressions cost more than a look at each character.
  if (length < SHORTEST_TOKEN) return isNumber(target, from, end);
  if (length !== UUID_LENGTH && !hasDigit(target, from, end)) return false;
  const segment = target.slice(from, end);
  return UUID.test(segment) || isToken(segment) || isRandom(segment);
}

function isNumber(target: string, from: number, end: number): boolean {
  for (let at = from; at < end; at++) if (!isDigit(target.charCodeAt(at))) return false;
  return end > from;
}

function hasDigit(target: string, from: number, end: number): boolean {
  for (let at = from; at < end; at++) if (isDigit(target.charCodeAt(at))) return true;
  return false;
}

const isDigit = (code: number): boolean => code >= ZERO && code <= NINE;

/** Shorter ones are names, unless they are numbers. */
const SHORTEST_TOKEN = 12;
const UUID_LENGTH = 36;
const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;
/** `ch_3MmlLrLkdIwHu7ix0snN0B15`, and hashes in hexadecimal form. */
const TOKEN = /^\w{12,}$/;
/** Random text in base64url has all three. */
const RANDOM = /^[\w-]{20,}$/;

const isToken = (segment: string): boolean => TOKEN.test(segment) && /\d/.test(segment);

const isRandom = (segment: string): boolean =>
  RANDOM.test(segment) && /\d/.test(segment) && /[a-z]/.test(segment) && /[A-Z]/.test(segment);
