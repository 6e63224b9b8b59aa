/** `/model`: a JSON pointer into the request body, whose value names what is limited. */
export type LimitScope = 'auto' | 'credential' | 'path' | `/${string}`;

/** A name comes from a caller or the upstream; a longer one is cut. */
const LONGEST_NAME = 64;

/** A path with more segments is cut. */
const MOST_SEGMENTS = 8;

/**
 * What a call asks for, where nothing else names it: its method and the shape of its path, in which identifiers count as one. Names of
 * models stay apart (`gpt-4o-2024-08-06`), because an API limits each of them by itself. A wrong guess costs seconds: the limit is probed.
 */
export function shapeOf(method: string, target: string): string {
  const end = target.indexOf('?');
  const path = end < 0 ? target : target.slice(0, end);
  const segments = path.split('/', MOST_SEGMENTS + 1).slice(1);
  return `${method === 'HEAD' ? 'GET' : method} /${segments.map(shapeOfSegment).join('/')}`;
}

/** The scope of a limit that somebody names: a model, or a resource of the API. */
export function namedScope(kind: string, name: string): string {
  return `${kind} ${name.slice(0, LONGEST_NAME)}`;
}

const NUMBER = /^\d+$/;
const UUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;
/** `ch_3MmlLrLkdIwHu7ix0snN0B15`, and hashes in hexadecimal form. */
const TOKEN = /^\w{12,}$/;
/** Random text in base64url has all three. */
const RANDOM = /^[\w-]{20,}$/;

function shapeOfSegment(segment: string): string {
  if (segment.length > LONGEST_NAME) return '*';
  const isId = NUMBER.test(segment) || UUID.test(segment) || isToken(segment) || isRandom(segment);
  return isId ? '*' : segment;
}

const isToken = (segment: string): boolean => TOKEN.test(segment) && /\d/.test(segment);

const isRandom = (segment: string): boolean =>
  RANDOM.test(segment) && /\d/.test(segment) && /[a-z]/.test(segment) && /[A-Z]/.test(segment);
