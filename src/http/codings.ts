import { headersOf, type RawHeaders } from './headers.ts';
import { membersOf } from './lists.ts';
import { remembered } from '../runtime/remembered.ts';

const REFUSED = /;\s*q=0(?:\.0*)?\s*$/i;

const nameOf = (member: string): string =>
  (member.split(';', 1)[0] as string)
    .trim()
    .toLowerCase()
    .replace(/^x-(?=(?:gzip|compress)$)/, '');

/** The content codings of a reply, in their order. */
export const contentCodings = (reply: RawHeaders): readonly string[] =>
  headersOf(reply, 'content-encoding')
    .flatMap(membersOf)
    .map(nameOf)
    .filter((name) => name !== 'identity');

/**
 * The codings that a client accepts (RFC 9110 §12.5.3). A request without Accept-Encoding accepts only a reply without coding,
 * because many such clients cannot decode one.
 */
export interface AcceptedCodings {
  /** The codings, sorted and without preferences, so that equivalent fields are equal; undefined without the field. */
  readonly text: string | undefined;
  /** Whether the client accepts a reply with these codings (see `contentCodings`). */
  readonly takes: (codings: readonly string[]) => boolean;
}

/** Clients have few different values, and each of their calls repeats one. */
const accepted = remembered((value): AcceptedCodings => {
  const members = membersOf(value);
  const texts = members.map((member) => `${REFUSED.test(member) ? '-' : ''}${nameOf(member)}`);
  const text = [...new Set(texts)]
    .filter((name) => name !== 'identity')
    .sort()
    .join();
  return { text, takes: takesOf(members) };
});

function takesOf(members: readonly string[]): AcceptedCodings['takes'] {
  const taken = new Map(members.map((member) => [nameOf(member), !REFUSED.test(member)]));
  const takes = (name: string, otherwise: boolean): boolean => taken.get(name) ?? taken.get('*') ?? otherwise;
  return (codings) =>
    codings.length === 0 ? takes('identity', true) : codings.every((name) => takes(name, false));
}

const NONE_ASKED: AcceptedCodings = { text: undefined, takes: takesOf([]) };

export function acceptedCodings(request: RawHeaders): AcceptedCodings {
  const values = headersOf(request, 'accept-encoding');
  return values.length === 0 ? NONE_ASKED : accepted(values.join(', '));
}
