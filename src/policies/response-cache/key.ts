import { codingsText } from '../../http/codings.ts';
import { fieldPairs, headersOf, type RawHeaders } from '../../http/headers.ts';
import { compact, membersOf } from '../../http/lists.ts';
import type { Call } from '../../proxy/call.ts';

export interface Caller {
  /** A hash of what identifies the caller. */
  readonly id: string;
  /** Something does. */
  readonly known: boolean;
}

/** Under what replies are kept: of what, for whom, and chosen by which fields. */
export interface Key {
  readonly id: string;
  readonly target: string;
  readonly callerKnown: boolean;
}

export interface KeyParts {
  /** Tells callers apart by what identifies them, without keeping it. */
  readonly callerOf: (call: Call) => Caller;
  /** More fields by which the API chooses a reply, in lower case. */
  readonly vary: readonly string[];
}

export function keyOf(call: Call, { callerOf, vary }: KeyParts): Key {
  const { id, known } = callerOf(call);
  const { headers, target } = call;
  return { id: `${id} ${target} ${selectionOf(headers, vary)}`, target, callerKnown: known };
}

/**
 * Fields by which APIs choose between replies, whether or not their `Vary` says so: content negotiation, versions and languages.
 * `Stripe-Version`, `anthropic-version`, `X-GitHub-Api-Version`, `OpenAI-Beta` are among them. Accept-Encoding is not: the coding
 * of a kept reply tells who takes it.
 */
const SELECTS = /^accept(?!-encoding$)|^prefer$|version|beta$|language|locale/;

/** What a request says in such fields: equal for two requests that mean the same. */
function selectionOf(headers: RawHeaders, vary: readonly string[]): string {
  const names = new Set(fieldPairs(headers).map(([name]) => name.toLowerCase()));
  const selecting = [...names].filter((name) => SELECTS.test(name) || vary.includes(name));
  const fields = selecting.sort().map((name) => [name, valueOf(headers, name)]);
  return JSON.stringify(fields.filter(([, value]) => value !== undefined));
}

/** They mean the same as no such field (RFC 9110 §12.5). */
const ANYTHING: ReadonlyMap<string, string> = new Map([
  ['accept', '*/*'],
  ['accept-language', '*'],
]);

/** All lines of a field as one (RFC 9110 §5.3), equal for values that mean the same. Undefined: the request has no such field. */
export function valueOf(headers: RawHeaders, name: string): string | undefined {
  const values = headersOf(headers, name);
  if (values.length === 0) return undefined;
  const value = values.join(', ');
  if (name === 'accept-encoding') return codingsText(value);
  if (!name.startsWith('accept')) return value;
  // White space around commas and semicolons has no meaning there, nor has case in a language.
  const plain = membersOf(value).map(compact).join();
  if (plain === ANYTHING.get(name)) return undefined;
  return name === 'accept-language' ? plain.toLowerCase() : plain;
}
