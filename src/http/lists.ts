import { splitUnquoted } from './quoted.ts';

/** The members of a comma-separated list in a header (RFC 9110 §5.6.1), without the empty ones. */
export const membersOf = (value: string): string[] => trimmedParts(value, ',');

/** A list member without insignificant white space around its semicolons. */
export const compact = (member: string): string => trimmedParts(member, ';').join(';');

const trimmedParts = (value: string, separator: ',' | ';'): string[] =>
  splitUnquoted(value, separator)
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** An entity tag, or a word without quotes, as some servers send it. A backslash in a tag has no special meaning. */
const TAG = /(?:W\/)?"[^"]*"|[^\s,]+/g;

/** The entity tags of If-None-Match (RFC 9110 §8.8.3). */
export const entityTagsOf = (value: string): string[] => value.match(TAG) ?? [];
