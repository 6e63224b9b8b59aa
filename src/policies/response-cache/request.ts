import { EMPTY_BODY } from '../../http/bodies/request-body.ts';
import { Directives } from '../../http/cache-control.ts';
import { headerOf, headersOf, OVERRIDING_HEADERS, type RawHeaders } from '../../http/headers.ts';
import type { Call } from '../../proxy/call.ts';

export const wants = ({ headers }: Call, directive: 'no-store' | 'only-if-cached'): boolean =>
  new Directives(headers).has(directive);

/** Whether the client accepts only a reply that the upstream confirms now. Pragma is an old form of it (RFC 9111 §5.4). */
export const asksForFresh = ({ headers }: Call, asked: Directives): boolean =>
  asked.has('no-cache') || headersOf(headers, 'pragma').some((value) => /\bno-cache\b/i.test(value));

/**
 * Whether the cache handles this call. It does not handle: a range; `no-store`; a GET with a body (some search APIs use one);
 * and headers that may turn the call into another method or path.
 */
export function isLookedUp(call: Call): boolean {
  if (call.upgrade !== undefined || (call.method !== 'GET' && call.method !== 'HEAD')) return false;
  if (call.body !== EMPTY_BODY || headerOf(call.headers, 'range') !== undefined) return false;
  if (OVERRIDING_HEADERS.some((name) => headerOf(call.headers, name) !== undefined)) return false;
  return !wants(call, 'no-store');
}

/** Whether the client sent conditions of its own. */
const hasCondition = ({ headers }: Call): boolean =>
  ['if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since'].some(
    (name) => headerOf(headers, name) !== undefined,
  );

interface Cached {
  readonly freshness: { readonly validators: RawHeaders };
}

/** The call with the validators of a cached reply. Unchanged if nothing is cached, or if the client sent conditions of its own. */
export function revalidating(cached: Cached | undefined, call: Call): Call {
  if (cached === undefined || hasCondition(call)) return call;
  const { validators } = cached.freshness;
  return validators.length === 0 ? call : { ...call, headers: [...call.headers, ...validators] };
}
