import { MemoryBody } from '../../http/bodies/memory-body.ts';
import { fieldPairs, headerOf, type RawHeaders, withoutFields } from '../../http/headers.ts';
import { httpDateMs } from '../../http/http-date.ts';
import { entityTagsOf } from '../../http/lists.ts';
import type { Reply } from '../../http/reply.ts';
import type { Call } from '../../proxy/call.ts';
import type { CacheResult } from '../../proxy/notes.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Entry } from './store.ts';

const NOT_MODIFIED = 304;

/** Header fields that describe the body. A 304 is sent without them (RFC 9110 §15.4.5). */
const WITHOUT_BODY: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'content-type',
  'content-range',
]);

/** Cache-Status (RFC 9211) by result. */
const STATUS: Partial<Record<CacheResult, string>> = {
  hit: 'hit',
  stale: 'hit; fwd=stale',
  revalidated: 'hit; fwd=stale; fwd-status=304',
  stale_if_error: 'hit; fwd=stale; detail=stale-if-error',
};

interface Serving {
  readonly result: CacheResult;
  readonly clock: Pick<Clock, 'real' | 'wallTime'>;
}

/** The cached reply for `call`: without body for HEAD, and as 304 if the client has the same reply already. */
export function served(entry: Entry, call: Call, { result, clock }: Serving): Reply {
  const now = clock.real();
  const { status, statusText, chunks, trailers, freshness } = entry;
  const cacheStatus = `breakwater; ${STATUS[result] ?? 'hit'}; ttl=${freshness.ttlSeconds(now)}`;
  const age = String(freshness.ageSeconds(now));
  const headers = entry.headers.concat('Age', age, 'Cache-Status', cacheStatus);
  if (status === 200 && hasSame(call, entry, clock.wallTime())) {
    const head = without(headers, WITHOUT_BODY);
    return { status: NOT_MODIFIED, statusText: '', headers: head, body: new MemoryBody([]), origin: 'cache' };
  }
  const body = call.method === 'HEAD' ? new MemoryBody([]) : new MemoryBody(chunks, trailers);
  return { status, statusText, headers, body, origin: 'cache' };
}

/** The headers of a reply to be cached. Its age changes. */
export const withoutAge = (headers: RawHeaders): RawHeaders => without(headers, AGE);

const AGE: ReadonlySet<string> = new Set(['age']);

/** Evaluates the client's conditions (RFC 9110 §13.2.2). If-Modified-Since counts only without If-None-Match. */
function hasSame(call: Call, entry: Entry, wallMs: number): boolean {
  const tags = headerOf(call.headers, 'if-none-match');
  if (tags !== undefined) {
    const tag = headerOf(entry.headers, 'etag');
    return (
      tags.trim() === '*' ||
      (tag !== undefined && entityTagsOf(tags).some((each) => weakly(each) === weakly(tag)))
    );
  }
  const since = dateOf(call.headers, 'if-modified-since', wallMs);
  if (since === undefined) return false;
  const last = dateOf(entry.headers, 'last-modified', wallMs);
  return last !== undefined && last <= since;
}

function dateOf(headers: RawHeaders, name: string, wallMs: number): number | undefined {
  const date = headerOf(headers, name);
  return date === undefined ? undefined : httpDateMs(date.trim(), wallMs);
}

const weakly = (tag: string): string => tag.trim().replace(/^W\//, '');

/** Fields of a 304 that do not update the cached reply: framing, connection, and fields for one client only. */
const NOT_RENEWED: ReadonlySet<string> = new Set([
  ...WITHOUT_BODY,
  'transfer-encoding',
  'connection',
  'keep-alive',
  'set-cookie',
]);

/** The headers of a cached reply after a 304: its fields replace the cached ones, except those that describe the body. */
export function refreshed(cached: RawHeaders, update: RawHeaders): RawHeaders {
  const news = without(update, NOT_RENEWED);
  const names = new Set(fieldPairs(news).map(([name]) => name.toLowerCase()));
  // The old Age no longer holds, even if the 304 has none.
  return [...without(cached, names.add('age')), ...news];
}

/** Whether a 304 is about the cached reply (RFC 9111 §4.3.4). A 304 without an ETag is. */
export function confirms(update: RawHeaders, cached: RawHeaders): boolean {
  const [theirs, known] = [headerOf(update, 'etag'), headerOf(cached, 'etag')];
  return theirs === undefined || known === undefined || weakly(theirs) === weakly(known);
}

export function without(raw: RawHeaders, names: ReadonlySet<string>): RawHeaders {
  return withoutFields(raw, (name) => names.has(name));
}
