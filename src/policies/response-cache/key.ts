import { acceptedCodings } from '../../http/codings.ts';
import { fieldPairs, fieldsOfText, headersOf, type RawHeaders, textOfFields } from '../../http/headers.ts';
import { compact, membersOf } from '../../http/lists.ts';
import type { Call } from '../../proxy/call.ts';
import { remembered } from '../../runtime/remembered.ts';

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

export interface Callers {
  /** Names and values of the fields that identify the caller. They may be secrets. */
  readonly identityOf: (call: Call) => readonly string[];
  /** Hashes an identity, so that no credential is stored. */
  readonly callerOf: (identity: readonly string[]) => Caller;
}

interface LatestCaller {
  readonly identity: readonly string[];
  readonly caller: Caller;
}

/** Makes the keys of a route's calls. Most calls repeat the names and values of earlier ones, of which it remembers the meaning. */
export class CacheKeys {
  readonly #callers: Callers;
  /** Most apps have one key, so it is hashed once and not with every call. */
  #latest: LatestCaller | undefined;
  readonly #selects: (name: string) => boolean;
  readonly #selectionOf: (fields: string) => string;

  /** `vary`: additional fields by which the API chooses a reply, in lower case. */
  constructor(callers: Callers, vary: readonly string[]) {
    this.#callers = callers;
    this.#selects = remembered((name) => selects(name.toLowerCase()) || vary.includes(name.toLowerCase()));
    this.#selectionOf = remembered((fields) => selectionOf(fieldsOfText(fields)));
  }

  of(call: Call): Key {
    const { id, known } = this.#callerOf(call);
    const { headers, target } = call;
    const selection = this.#selectionOf(textOfFields(headers, this.#selects));
    return { id: `${id} ${target} ${selection}`, target, callerKnown: known };
  }

  #callerOf(call: Call): Caller {
    const identity = this.#callers.identityOf(call);
    if (this.#latest === undefined || !isSame(identity, this.#latest.identity))
      this.#latest = { identity, caller: this.#callers.callerOf(identity) };
    return this.#latest.caller;
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * Fields by which APIs choose a reply, even if their `Vary` does not name them: content negotiation, versions and languages, such as
 * `Stripe-Version`, `anthropic-version`, `X-GitHub-Api-Version`, `OpenAI-Beta`. Accept-Encoding is not one of them, because a
 * cached reply is matched by its coding.
 */
const SELECTS = /^accept(?!-encoding$)|^prefer$|version|beta$|language|locale/;

const selects = (name: string): boolean => SELECTS.test(name);

/** The values of such fields: equal for two requests with the same meaning. */
function selectionOf(headers: RawHeaders): string {
  const names = new Set(fieldPairs(headers).map(([name]) => name.toLowerCase()));
  const fields = [...names].sort().map((name) => [name, valueOf(headers, name)]);
  return JSON.stringify(fields.filter(([, value]) => value !== undefined));
}

/** Values with the same meaning as a missing field (RFC 9110 §12.5). */
const ANYTHING: ReadonlyMap<string, string> = new Map([
  ['accept', '*/*'],
  ['accept-language', '*'],
]);

/** All lines of a field as one (RFC 9110 §5.3), equal for values with the same meaning. Undefined if the field is missing. */
export function valueOf(headers: RawHeaders, name: string): string | undefined {
  if (name === 'accept-encoding') return acceptedCodings(headers).text;
  const values = headersOf(headers, name);
  if (values.length === 0) return undefined;
  const value = values.join(', ');
  if (!name.startsWith('accept')) return value;
  // White space around commas and semicolons has no meaning in these fields. Neither has case in a language.
  const plain = membersOf(value).map(compact).join();
  if (plain === ANYTHING.get(name)) return undefined;
  return name === 'accept-language' ? plain.toLowerCase() : plain;
}
