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

/** Of these a 304 must have what the 200 would have had, and not more (RFC 9110 §15.4.5). */
const WITHOUT_BODY: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'content-type',
  'content-range',
]);

/** Cache-Status (RFC 9211) of what is given from here. */
const STATUS: Partial<Record<CacheResult, string>> = {
  hit: 'hit',
  stale: 'hit; fwd=stale',
  revalidated: 'hit; fwd=stale; fwd-status=304',
  stale_if_error: 'hit; fwd=stale; detail=stale-if-error',
};

interface Giving {
  readonly result: CacheResult;
  readonly clock: Pick<Clock, 'now' | 'wallTime'>;
}

/** A kept reply as `call` gets it: without its body for HEAD, and as 304 for a client that has the same already. */
export function served(entry: Entry, call: Call, { result, clock }: Giving): Reply {
  const now = clock.now();
  const { status, statusText, chunks, trailers, freshness } = entry;
  const headers = [
    ...without(entry.headers, AGE),
    'Age',
    String(freshness.ageSeconds(now)),
    'Cache-Status',
    `breakwater; ${STATUS[result] ?? 'hit'}; ttl=${freshness.ttlSeconds(now)}`,
  ];
  if (status === 200 && hasSame(call, entry, clock.wallTime())) {
    const head = without(headers, WITHOUT_BODY);
    return { status: NOT_MODIFIED, statusText: '', headers: head, body: new MemoryBody([]), origin: 'cache' };
  }
  const body = call.method === 'HEAD' ? new MemoryBody([]) : new MemoryBody(chunks, trailers);
  return { status, statusText, headers, body, origin: 'cache' };
}

const AGE: ReadonlySet<string> = new Set(['age']);

/** The client's own conditions (RFC 9110 §13.2.2): If-Modified-Since counts only without If-None-Match. */
function hasSame(call: Call, entry: Entry, wallMs: number): boolean {
  const tags = headerOf(call.headers, 'if-none-match');
  if (tags !== undefined) {
    const tag = headerOf(entry.headers, 'etag');
    return (
      tags.trim() === '*' ||
      (tag !== undefined && entityTagsOf(tags).some((each) => weakly(each) === weakly(tag)))
    );
  }
  const [since, last] = [
    headerOf(call.headers, 'if-modified-since'),
    headerOf(entry.headers, 'last-modified'),
  ].map((date) => httpDateMs(date?.trim() ?? '', wallMs));
  return last !== undefined && since !== undefined && last <= since;
}

const weakly = (tag: string): string => tag.trim().replace(/^W\//, '');

/** Says nothing of the reply itself: framing, the connection, or what is for one client only. */
const NOT_RENEWED: ReadonlySet<string> = new Set([
  ...WITHOUT_BODY,
  'transfer-encoding',
  'connection',
  'keep-alive',
  'set-cookie',
]);

/** What a 304 says of the reply takes the place of what was said before, but for what describes the body. */
export function refreshed(kept: RawHeaders, update: RawHeaders): RawHeaders {
  const news = without(update, NOT_RENEWED);
  const names = new Set(fieldPairs(news).map(([name]) => name.toLowerCase()));
  // The old age is past, whether or not there is a new one.
  return [...without(kept, names.add('age')), ...news];
}

/** Whether a 304 is about what is kept, as far as it says (RFC 9111 §4.3.4). */
export function confirms(update: RawHeaders, kept: RawHeaders): boolean {
  const [told, known] = [headerOf(update, 'etag'), headerOf(kept, 'etag')];
  return told === undefined || known === undefined || weakly(told) === weakly(known);
}

export function without(raw: RawHeaders, names: ReadonlySet<string>): RawHeaders {
  return withoutFields(raw, (name) => names.has(name));
}
