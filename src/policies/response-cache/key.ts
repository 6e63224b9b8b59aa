import { codingsText } from '../../http/codings.ts';
import { fieldPairs, headersOf, type RawHeaders } from '../../http/headers.ts';
import { compact, membersOf } from '../../http/lists.ts';
import type { Call } from '../../proxy/call.ts';

export interface Caller {
  /** A hash of the headers that identify the caller. */
  readonly id: string;
  /** Whether the request identifies its caller. */
  readonly known: boolean;
}

/** The cache key: target, caller, and the fields by which the API chooses a reply. */
export interface Key {
  readonly id: string;
  readonly target: string;
  readonly callerKnown: boolean;
}

export interface KeyParts {
  /** Hashes the headers that identify a caller, so that no credential is stored. */
  readonly callerOf: (call: Call) => Caller;
  /** Additional fields by which the API chooses a reply, in lower case. */
  readonly vary: readonly string[];
}

export function keyOf(call: Call, { callerOf, vary }: KeyParts): Key {
  const { id, known } = callerOf(call);
  const { headers, target } = call;
  return { id: `${id} ${target} ${selectionOf(headers, vary)}`, target, callerKnown: known };
}

/**
 * Fields by which APIs choose a reply, even if their `Vary` does not name them: content negotiation, versions and languages, such as
 * `Stripe-Version`, `anthropic-version`, `X-GitHub-Api-Version`, `OpenAI-Beta`. Accept-Encoding is not one of them, because a
 * cached reply is matched by its coding.
 */
const SELECTS = /^accept(?!-encoding$)|^prefer$|version|beta$|language|locale/;

/** The values of such fields in a request: equal for two requests with the same meaning. */
function selectionOf(headers: RawHeaders, vary: readonly string[]): string {
  const names = new Set(fieldPairs(headers).map(([name]) => name.toLowerCase()));
  const selecting = [...names].filter((name) => SELECTS.test(name) || vary.includes(name));
  const fields = selecting.sort().map((name) => [name, valueOf(headers, name)]);
  return JSON.stringify(fields.filter(([, value]) => value !== undefined));
}

/** Values with the same meaning as a missing field (RFC 9110 §12.5). */
const ANYTHING: ReadonlyMap<string, string> = new Map([
  ['accept', '*/*'],
  ['accept-language', '*'],
]);

/** All lines of a field as one (RFC 9110 §5.3), equal for values with the same meaning. Undefined if the field is missing. */
export function valueOf(headers: RawHeaders, name: string): string | undefined {
  const values = headersOf(headers, name);
  if (values.length === 0) return undefined;
  const value = values.join(', ');
  if (name === 'accept-encoding') return codingsText(value);
  if (!name.startsWith('accept')) return value;
  // White space around commas and semicolons has no meaning in these fields. Neither has case in a language.
  const plain = membersOf(value).map(compact).join();
  if (plain === ANYTHING.get(name)) return undefined;
  return name === 'accept-language' ? plain.toLowerCase() : plain;
}
