import { headersOf, type RawHeaders } from './headers.ts';
import { splitUnquoted } from './quoted.ts';

/** The supported preferences of a client (RFC 7240). */
export interface Preferences {
  /** Whether the response may be asynchronous. */
  readonly respondAsync: boolean;
  /** The time that the client would wait for the response, in seconds; undefined if not stated. */
  readonly waitSeconds: number | undefined;
  /** Whether an unsupported preference is an error. */
  readonly strict: boolean;
}

/** Parses `Prefer`; undefined if absent. The first of several values of a preference counts. */
export function preferencesOf(headers: RawHeaders): Preferences | undefined {
  const fields = headersOf(headers, 'prefer');
  if (fields.length === 0) return undefined;
  const found = new Map<string, string>();
  for (const field of fields) addAll(field, found);
  const wait = found.get('wait') ?? '';
  return {
    respondAsync: found.has('respond-async'),
    waitSeconds: /^\d{1,9}$/.test(wait) ? Number(wait) : undefined,
    strict: found.get('handling')?.toLowerCase() === 'strict',
  };
}

function addAll(field: string, found: Map<string, string>): void {
  for (const part of splitUnquoted(field, ',')) {
    const [name = '', value = ''] = (part.split(';', 1)[0] as string).split('=', 2);
    const key = name.trim().toLowerCase();
    if (!found.has(key)) found.set(key, value.trim().replace(/^"(.*)"$/, '$1'));
  }
}
