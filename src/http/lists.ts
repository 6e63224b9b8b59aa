import { splitUnquoted } from './quoted.ts';

/** The members of a comma-separated list in a header (RFC 9110 §5.6.1), without the empty ones. */
export const membersOf = (value: string): string[] => trimmedParts(value, ',');

/** A member of a list without white space around its semicolons, where it has no meaning. */
export const compact = (member: string): string => trimmedParts(member, ';').join(';');

const trimmedParts = (value: string, separator: ',' | ';'): string[] =>
  splitUnquoted(value, separator)
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** An entity tag; a word without quotes is taken as well, as some servers send it. A backslash in a tag has no meaning. */
const TAG = /(?:W\/)?"[^"]*"|[^\s,]+/g;

/** The entity tags of If-None-Match (RFC 9110 §8.8.3). */
export const entityTagsOf = (value: string): string[] => value.match(TAG) ?? [];
