/** Idempotent methods (RFC 9110 §9.2.2), and QUERY, which its own definition calls idempotent. */
const IDEMPOTENT: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
  'QUERY',
]);

/** Safe methods (RFC 9110 §9.2.1), and QUERY. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY']);

/** Whether a method requests no change. */
export function isSafe(method: string): boolean {
  return SAFE.has(method);
}

/** Whether repeating a request has no further effect. Methods are case-sensitive; unknown ones are not idempotent. */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

/**
 * The methods that metrics and traces name (RFC 9110 §9, RFC 5789, and QUERY). All others share one name there, because a client
 * may invent any number.
 */
export const KNOWN_METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'QUERY',
]);
