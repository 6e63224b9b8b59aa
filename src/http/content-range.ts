import { headersOf, type RawHeaders } from './headers.ts';

/** The byte range of a 206; both ends are included. */
export interface ContentRange {
  readonly first: number;
  readonly last: number;
  /** The complete length in bytes; undefined if the sender does not know it. */
  readonly length: number | undefined;
}

const BYTES = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i;

/** The Content-Range of a reply (RFC 9110 §14.4); undefined if absent, not in bytes, or contradictory. */
export function contentRange(headers: RawHeaders): ContentRange | undefined {
  const [, first, last, length] = BYTES.exec(only(headers, 'content-range')) ?? [];
  if (first === undefined || last === undefined) return undefined;
  const range = {
    first: Number(first),
    last: Number(last),
    length: length === '*' ? undefined : Number(length),
  };
  return isSound(range) ? range : undefined;
}

const isSound = ({ first, last, length = Infinity }: ContentRange): boolean =>
  Number.isSafeInteger(last) && first <= last && last < length;

const STRONG = /^"[\x21\x23-\x7e\x80-\xff]*"$/;

/** The strong ETag of a reply, which identifies its exact bytes (RFC 9110 §8.8.3); undefined if weak or absent. */
export function strongEtag(headers: RawHeaders): string | undefined {
  const tag = only(headers, 'etag');
  return STRONG.test(tag) ? tag : undefined;
}

/** The value of a field that occurs exactly once, else ''. */
function only(headers: RawHeaders, name: string): string {
  const [value = '', ...others] = headersOf(headers, name);
  return others.length === 0 ? value.trim() : '';
}
