import { headersOf, type RawHeaders } from './headers.ts';

/** Which bytes a 206 holds; both ends belong to it. */
export interface ContentRange {
  readonly first: number;
  readonly last: number;
  /** Of the whole; undefined where the sender does not know it. */
  readonly length: number | undefined;
}

const BYTES = /^bytes (\d+)-(\d+)\/(\d+|\*)$/i;

/** RFC 9110 §14.4; undefined for what is no range of bytes, or contradicts itself. */
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

/** The ETag that names these very bytes; undefined for a weak one or none (RFC 9110 §8.8.3). */
export function strongEtag(headers: RawHeaders): string | undefined {
  const tag = only(headers, 'etag');
  return STRONG.test(tag) ? tag : undefined;
}

/** '' where the field is not there, or says several things. */
function only(headers: RawHeaders, name: string): string {
  const [value = '', ...others] = headersOf(headers, name);
  return others.length === 0 ? value.trim() : '';
}
