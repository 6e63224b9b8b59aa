const SLASH = 47;
const QUESTION_MARK = 63;
const ZERO = 48;
const NINE = 57;

/** A longer segment is taken for an identifier. */
const MAX_NAME = 24;

/** What stands in a shape for an identifier. */
const ANY = 42;

/**
 * A number for the shape of a request: its method and path, where `/users/17` and `/users/18` have the same. A segment with a
 * digit in it, or a long one, is an identifier. The query does not count. Two shapes that share a number by accident are
 * taken for one, which is harmless. It makes no string, because it is computed for each attempt.
 */
export function shapeOf(method: string, target: string): number {
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
