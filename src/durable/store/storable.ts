import type { Value } from './db.ts';

/*
 * The rule of what a database is given: every parameter passes `storable`, in `SqlStore` and nowhere else. PostgreSQL
 * refuses U+0000 in a text and what has no UTF-8; SQLite ends a text at U+0000 in some functions. Moments may come with
 * fractions of a millisecond, which PostgreSQL refuses for its integers.
 */

/** Stands for a character that no database keeps. */
const REPLACEMENT = '\uFFFD';

export function storable(value: Value): Value {
  if (typeof value === 'number') return Math.round(value);
  return typeof value === 'string' ? storableText(value) : value;
}

function storableText(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', REPLACEMENT).toWellFormed() : text.toWellFormed();
}

/** Of a text that only people read, this much is kept: upstreams write some of them. */
const SHOWN_CHARACTERS = 2_000;

/** A text for people, shortened. */
export function shownText(text: string): string {
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS - 1)}…`;
}
