import type { RawHeaders } from './headers.ts';

/**
 * Names of headers and query parameters that carry credentials, as far as a name can tell. Meant to find too many rather
 * than too few.
 */
const CREDENTIAL = /auth|key|token|secret|cookie|passw|signature|credential|session|^sig$/i;

/** Called a key, and none that opens anything. */
const HARMLESS: ReadonlySet<string> = new Set(['idempotency-key', 'x-idempotency-key', 'sec-websocket-key']);

export function isCredential(name: string): boolean {
  return CREDENTIAL.test(name) && !HARMLESS.has(name.toLowerCase());
}

/** The fields that are fit for another server than the one they were meant for: no credentials, and nothing that `drop` (asked by lower-case name) does not want. */
export function withoutCredentials(headers: RawHeaders, drop: (name: string) => boolean): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!isCredential(name) && !drop(name.toLowerCase())) kept.push(name, headers[i + 1] as string);
  }
  return kept;
}

/** A query (without `?`) without its credentials: some APIs take their key as a parameter. */
export function queryWithoutCredentials(query: string): string {
  return query
    .split('&')
    .filter((pair) => !isCredential(new URLSearchParams(pair).keys().next().value ?? ''))
    .join('&');
}
