import { headersOf, type RawHeaders } from './headers.ts';
import { membersOf } from './lists.ts';

const REFUSED = /;\s*q=0(?:\.0*)?\s*$/i;

const nameOf = (member: string): string =>
  (member.split(';', 1)[0] as string)
    .trim()
    .toLowerCase()
    .replace(/^x-(?=(?:gzip|compress)$)/, '');

const namesOf = (headers: RawHeaders, field: string): string[] =>
  headersOf(headers, field).flatMap(membersOf).map(nameOf);

/**
 * Whether a client accepts the content coding of a reply (RFC 9110 §12.5.3). A request without Accept-Encoding accepts only
 * a reply without coding, because many such clients cannot decode one.
 */
export function takesCodingOf(request: RawHeaders, reply: RawHeaders): boolean {
  const codings = namesOf(reply, 'content-encoding').filter((name) => name !== 'identity');
  const asked = headersOf(request, 'accept-encoding').flatMap(membersOf);
  const taken = new Map(asked.map((member) => [nameOf(member), !REFUSED.test(member)]));
  const takes = (name: string, otherwise: boolean): boolean => taken.get(name) ?? taken.get('*') ?? otherwise;
  return codings.length === 0 ? takes('identity', true) : codings.every((name) => takes(name, false));
}

/** Whether two replies have the same content coding. */
export const sameCoding = (a: RawHeaders, b: RawHeaders): boolean =>
  namesOf(a, 'content-encoding').join() === namesOf(b, 'content-encoding').join();

/** The codings of Accept-Encoding, sorted and without preferences, so that equivalent fields are equal. */
export function codingsText(value: string): string {
  const codings = membersOf(value).map((member) => `${REFUSED.test(member) ? '-' : ''}${nameOf(member)}`);
  return [...new Set(codings)]
    .filter((name) => name !== 'identity')
    .sort()
    .join();
}
