import { contentRange, strongEtag } from '../../../http/content-range.ts';
import { headerOf, type RawHeaders, withoutFields } from '../../../http/headers.ts';
import type { Reply } from '../../../http/reply.ts';
import type { Call } from '../../../proxy/call.ts';

/** A body that can be continued if it breaks. */
export interface Download {
  readonly etag: string;
  /** Bytes; Infinity if unknown. */
  readonly length: number;
  /** The Content-Encoding. Both parts must have the same one, because it is passed on unchanged. */
  readonly coding: string | undefined;
}

/**
 * Undefined if a reply cannot be continued. It can be if it is a 200 with a strong ETag to a GET without a range: a 206 with the
 * same tag then has the missing bytes (RFC 9110 §13.1.5, §14.2). A client that requests ranges continues by itself.
 */
export function downloadOf(
  call: Call,
  { status, headers }: Pick<Reply, 'status' | 'headers'>,
): Download | undefined {
  if (call.method !== 'GET' || status !== 200 || call.upgrade !== undefined) return undefined;
  if (headerOf(call.headers, 'range') !== undefined) return undefined;
  const etag = strongEtag(headers);
  if (etag === undefined || headerOf(headers, 'accept-ranges')?.trim().toLowerCase() === 'none')
    return undefined;
  return { etag, length: lengthIn(headers), coding: codingOf(headers) };
}

/** Preconditions of the client, which the first part has met. If-Range replaces them. */
const REPLACED: ReadonlySet<string> = new Set([
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
]);

/** The request's fields when it asks for the bytes from `at` on. */
export function restHeaders(headers: RawHeaders, { etag }: Download, at: number): RawHeaders {
  const rest = withoutFields(headers, (name) => REPLACED.has(name));
  rest.push('range', `bytes=${at}-`, 'if-range', etag);
  return rest;
}

/** The length of the whole body if `reply` has every byte from `at` on; undefined if anything differs. */
export function wholeLength(
  { status, headers }: Pick<Reply, 'status' | 'headers'>,
  download: Download,
  at: number,
): number | undefined {
  const range = contentRange(headers);
  if (status !== 206 || range === undefined || !isSameBody(headers, download)) return undefined;
  const { first, last, length = download.length } = range;
  if (first !== at || last !== length - 1) return undefined;
  return download.length === Infinity || download.length === length ? length : undefined;
}

/** A 206 may omit fields of the first part (RFC 9110 §15.3.7.1), but not the ETag. */
function isSameBody(headers: RawHeaders, { etag, coding }: Download): boolean {
  return strongEtag(headers) === etag && (codingOf(headers) ?? coding) === coding;
}

function lengthIn(headers: RawHeaders): number {
  const length = headerOf(headers, 'content-length');
  return length === undefined ? Infinity : Number(length);
}

const codingOf = (headers: RawHeaders): string | undefined =>
  headerOf(headers, 'content-encoding')?.trim().toLowerCase();
