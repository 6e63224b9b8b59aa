import { isSecret, REDACTED } from '../http/credentials.ts';
import { remembered } from '../runtime/remembered.ts';

/** User and password in a URL. The scheme is not part of the pattern, because that would take quadratic time. */
const USER_INFO = /:\/\/[^/?#\s@]+@/g;

/** Deeper structures are cut, which also ends cycles. */
const MAX_DEPTH = 6;

/**
 * A copy of `fields` that is safe to print: values under secret names are replaced, so are user and password in URLs;
 * a field `headers` may also be a flat list (name, value, …). Errors become plain objects.
 */
export function redact(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return redactObject(fields, 0);
}

function redactObject(fields: object, depth: number): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const name of Object.keys(fields)) {
    const value = (fields as Readonly<Record<string, unknown>>)[name];
    if (value === undefined) continue;
    if (isSecretName(name)) safe[name] = REDACTED;
    else if (name === 'headers' && Array.isArray(value)) safe[name] = redactHeaders(value);
    else safe[name] = redactValue(value, depth + 1);
  }
  return safe;
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string')
    return value.includes('://') ? value.replace(USER_INFO, `://${REDACTED}@`) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '…';
  if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
  if (value instanceof Error) return describeError(value, depth);
  return redactObject(value, depth);
}

/** Every line has the same few names. */
const isSecretName = remembered(isSecret);

function redactHeaders(headers: readonly unknown[]): unknown[] {
  return headers.map((item, index) => {
    if (Array.isArray(item)) return redactHeaders(item); // [name, value] pairs
    return index % 2 === 1 && isSecret(String(headers[index - 1])) ? REDACTED : redactValue(item, 1);
  });
}

function describeError(error: Error, depth: number): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  return redactObject({ ...Object.fromEntries(Object.entries(error)), name, message, stack, cause }, depth);
}
