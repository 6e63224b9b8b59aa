import { EMPTY_BODY } from '../../http/bodies/request-body.ts';
import { Directives } from '../../http/cache-control.ts';
import { FieldNames } from '../../http/field-names.ts';
import { headerOf, headersOf, knownFields, OVERRIDING_HEADERS, type RawHeaders } from '../../http/headers.ts';
import type { Call } from '../../proxy/call.ts';

export const wants = ({ headers }: Call, directive: 'no-store' | 'only-if-cached'): boolean =>
  new Directives(headers).has(directive);

const NO_CACHE = /\bno-cache\b/i;

/** An old form of `no-cache` (RFC 9111 §5.4). */
export const saysPragmaNoCache = (headers: RawHeaders): boolean =>
  headersOf(headers, 'pragma').some((value) => NO_CACHE.test(value));

/** Whether the client accepts only a reply that the upstream confirms now. */
export const asksForFresh = ({ headers }: Call, asked: Directives): boolean =>
  asked.has('no-cache') || saysPragmaNoCache(headers);

const NOT_LOOKED_UP = new FieldNames(['range', ...OVERRIDING_HEADERS]);

/**
 * Whether the cache handles this call. It does not handle: a range; `no-store`; a GET with a body (some search APIs use one);
 * and headers that may turn the call into another method or path.
 */
export function isLookedUp(call: Call): boolean {
  if (call.upgrade !== undefined || (call.method !== 'GET' && call.method !== 'HEAD')) return false;
  if (call.body !== EMPTY_BODY || knownFields(call.headers, NOT_LOOKED_UP).length > 0) return false;
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
