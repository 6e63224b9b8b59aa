/** RFC 9110 §9.2.2, and QUERY, which is idempotent by its own definition. */
const IDEMPOTENT: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
  'QUERY',
]);

/** RFC 9110 §9.2.1, and QUERY. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY']);

/** Whether it asks for nothing to be changed. */
export function isSafe(method: string): boolean {
  return SAFE.has(method);
}

/** Whether sending it twice means no more than sending it once. Methods are case-sensitive; an unknown one is taken for a POST. */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}
