import { type Pointer, valuesAt } from './json-pointer.ts';
import { matchesAny } from './wildcard.ts';

/** A body or an event as lower-case text, and as a value if it is JSON. */
export interface Document {
  readonly text: string;
  readonly json: unknown;
}

/** A condition on a document. Each part must hold. `*` in a value matches any text. */
export interface DocumentCondition {
  /** One of the values at each pointer (RFC 6901, in which `*` is any member) must match. */
  readonly body: readonly (readonly [pointer: Pointer, values: readonly string[]])[];
  /** The document must contain one of these texts. */
  readonly text: readonly string[];
}

/** A document without JSON has no value at any pointer. */
export function documentOf(text: string): Document {
  return { text: text.toLowerCase(), json: parsedJson(text) };
}

/** The value of a text; undefined if it is not JSON. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `document`: undefined if it could not be read, so that only a condition without parts holds. */
export function fits({ body, text }: DocumentCondition, document: Document | undefined): boolean {
  if (body.length === 0 && text.length === 0) return true;
  if (document === undefined) return false;
  if (text.length > 0 && !text.some((part) => document.text.includes(part.toLowerCase()))) return false;
  return body.every(([pointer, patterns]) =>
    valuesAt(document.json, pointer).some((value) => matchesValue(value, patterns)),
  );
}

/** A `*` alone also matches a list and a map: `/error: "*"` is any error, whatever it contains. */
function matchesValue(value: unknown, patterns: readonly string[]): boolean {
  if (isPlain(value)) return matchesAny(String(value), patterns);
  return value !== null && patterns.includes('*');
}

/** A text, a number or a boolean. */
export const isPlain = (value: unknown): value is string | number | boolean =>
  ['string', 'number', 'boolean'].includes(typeof value);
