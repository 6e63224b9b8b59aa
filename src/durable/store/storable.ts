import type { Value } from './db.ts';

/*
 * Every parameter passes `storable`: in `SqlStore`, and the elements of arrays in `arraysOf`. PostgreSQL refuses U+0000 and lone
 * surrogates in text. Some SQLite functions end text at U+0000. Times may have fractions, which PostgreSQL refuses for integers.
 */

/** Replaces characters that databases cannot store. */
const REPLACEMENT = '\uFFFD';

/** Whether `storable` changes nothing, as for most values. */
export function isStorable(value: Value): boolean {
  if (typeof value === 'number') return Number.isInteger(value);
  return typeof value !== 'string' || (!value.includes('\0') && value.isWellFormed());
}

export function storable(value: Value): Value {
  if (typeof value === 'number') return Math.round(value);
  return typeof value === 'string' ? storableText(value) : value;
}

function storableText(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', REPLACEMENT).toWellFormed() : text.toWellFormed();
}

/** Maximum length of a stored text that only people read. Upstreams write some of these texts. */
const SHOWN_CHARACTERS = 2_000;

/** Shortens a text for people. */
export function shownText(text: string): string {
  return text.length <= SHOWN_CHARACTERS ? text : `${text.slice(0, SHOWN_CHARACTERS - 1)}…`;
}
