import { headerOf, headersOf } from '../../http/headers.ts';
import { EMPTY_BODY } from '../../http/request-body.ts';
import type { Call } from '../../proxy/call.ts';
import type { Entry } from './store.ts';

/** The request's Cache-Control, lower-case. */
export const directives = ({ headers }: Call): string =>
  headersOf(headers, 'cache-control').join(', ').toLowerCase();

/**
 * Whether the cache is for this call: not those whose reply would be a part of the whole, or that want nothing kept, or
 * whose body may say what they ask for (some search APIs take one with GET).
 */
export function isLookedUp(call: Call): boolean {
  if (call.upgrade !== undefined || (call.method !== 'GET' && call.method !== 'HEAD')) return false;
  if (call.body !== EMPTY_BODY || headerOf(call.headers, 'range') !== undefined) return false;
  return !directives(call).includes('no-store');
}

/** Whether the client has a copy of its own, or wants to act on a certain one only. */
const hasCondition = ({ headers }: Call): boolean =>
  ['if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since'].some(
    (name) => headerOf(headers, name) !== undefined,
  );

/** The call with the question whether what is kept is still good; the call itself where it cannot be asked. */
export function askingWhether(entry: Entry | undefined, call: Call): Call {
  if (entry === undefined || hasCondition(call)) return call;
  const { validators } = entry.freshness;
  return validators.length === 0 ? call : { ...call, headers: [...call.headers, ...validators] };
}
