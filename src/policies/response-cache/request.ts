import { EMPTY_BODY } from '../../http/bodies/request-body.ts';
import { Directives } from '../../http/cache-control.ts';
import { headerOf, headersOf, OVERRIDING_HEADERS, type RawHeaders } from '../../http/headers.ts';
import type { Call } from '../../proxy/call.ts';

export const wants = ({ headers }: Call, directive: 'no-store' | 'only-if-cached'): boolean =>
  new Directives(headers).has(directive);

/** Whether the client takes only what the upstream says now. Pragma is an old form of it (RFC 9111 §5.4). */
export const asksForFresh = ({ headers }: Call, asked: Directives): boolean =>
  asked.has('no-cache') || headersOf(headers, 'pragma').some((value) => /\bno-cache\b/i.test(value));

/**
 * Whether the cache is for this call: not those whose reply would be a part of the whole, or that want nothing kept, or
 * whose body may say what they ask for (some search APIs take one with GET), or that the API may take for another request.
 */
export function isLookedUp(call: Call): boolean {
  if (call.upgrade !== undefined || (call.method !== 'GET' && call.method !== 'HEAD')) return false;
  if (call.body !== EMPTY_BODY || headerOf(call.headers, 'range') !== undefined) return false;
  if (OVERRIDING_HEADERS.some((name) => headerOf(call.headers, name) !== undefined)) return false;
  return !wants(call, 'no-store');
}

/** Whether the client has a copy of its own, or wants to act on a certain one only. */
const hasCondition = ({ headers }: Call): boolean =>
  ['if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since'].some(
    (name) => headerOf(headers, name) !== undefined,
  );

interface Cached {
  readonly freshness: { readonly validators: RawHeaders };
}

/** The call made conditional on what is cached; the call itself if nothing is, or if the client sent conditions of its own. */
export function revalidating(cached: Cached | undefined, call: Call): Call {
  if (cached === undefined || hasCondition(call)) return call;
  const { validators } = cached.freshness;
  return validators.length === 0 ? call : { ...call, headers: [...call.headers, ...validators] };
}
