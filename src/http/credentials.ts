import { remembered } from '../runtime/remembered.ts';
import { fieldPairs, type RawHeaders, withoutFields } from './headers.ts';

/*
 * The only place that decides which names hold a secret and which identify an account. Used by all code that stores, shows,
 * compares, hashes or forwards credentials: durable requests, dedupe, cache, fallback, log, `explain`, admin API.
 */

/** Replaces a secret in a log line, a dump or a page. */
export const REDACTED = '[redacted]';

/**
 * Names of headers, query parameters and fields that probably hold a secret. A false positive costs little, and
 * `identity.ignored_names` corrects it. A false negative exposes a secret.
 */
const SECRET =
  /auth|key|token(?!s)|secret|cookie|passw|passphrase|passcode|signature|credential|session|jwt|assertion|bearer|[-_](?:access|api)[-_]sign$|^(?:api-sign|sig|sign|sid|pwd|pass|appid|x-honeycomb-team)$/i;

/** Parts of names that match SECRET but give no access. They are removed before the rest of the name is matched. */
const HARMLESS =
  /(?:breakwater|idempotency|partition|sort|order|routing|cache|surrogate|public|primary|foreign|object|shard|group|message|event|search|websocket|row)[-_]?keys?|(?:page|next|continuation|cursor|sync|delta|skip|resume|sequence|max)[-_]?tokens?|author(?!i[sz])|authorit(?:y|ies)|credential[-_]?hash|keyword|keyboard|(?:key|secret)s?[-_]?(?:header|name)s?$/gi;

/** Names that identify the account of a call but hold no secret: `Stripe-Account`, `OpenAI-Organization`, GitLab's `Sudo`. */
const ACCOUNT =
  /account|organi[sz]ation|(?:^|[-_])org(?:$|[-_])|project|tenant|workspace|customer|user(?!-?agent)|subject|identity|behalf|impersonat|merchant|context|(?:^|[-_])team(?:$|[-_])|(?:client|app|application|partner|company|realm|shop|store)[-_]?id$|^sudo$/i;

/** Names of values that identify a message or trace, not the caller. */
const OF_THE_MESSAGE = /trace|correlation|request|telemetry|user-?agent/i;

/** Names of values that are created for one message. A repeated request with a new signature has the same caller. */
const PER_MESSAGE = /signature|sign$|^sig$|timestamp|nonce/i;

/** Whether a header, query parameter or field of this name probably holds a secret. */
export function isSecret(name: string): boolean {
  return SECRET.test(name) && SECRET.test(name.replace(HARMLESS, ''));
}

const isAccount = (name: string): boolean => ACCOUNT.test(name) && !OF_THE_MESSAGE.test(name);

/** Configured names (the key `identity`), in lower case. They have priority over the built-in patterns. */
export interface IdentityOptions {
  /** Names that hold a secret. */
  readonly secretNames: readonly string[];
  /** Names that identify the account. */
  readonly accountNames: readonly string[];
  /** Names that do neither. */
  readonly ignoredNames: readonly string[];
}

const NO_NAMES: IdentityOptions = { secretNames: [], accountNames: [], ignoredNames: [] };

interface Kind {
  readonly secret: boolean;
  readonly account: boolean;
}

/** The parts of a request that can identify its caller. */
interface Named {
  readonly headers: RawHeaders;
  /** Path and query. */
  readonly target: string;
}

/** Decides which headers and query parameters of a route's calls are secrets or identify an account. */
export class CredentialNames {
  readonly #named: ReadonlyMap<string, Kind>;
  readonly #kindOf: (name: string) => Kind;

  constructor({ secretNames, accountNames, ignoredNames }: IdentityOptions = NO_NAMES) {
    this.#named = new Map<string, Kind>([
      ...accountNames.map((name) => [name, { secret: false, account: true }] as const),
      ...secretNames.map((name) => [name, { secret: true, account: false }] as const),
      ...ignoredNames.map((name) => [name, { secret: false, account: false }] as const),
    ]);
    this.#kindOf = remembered(
      (name) => this.#named.get(name.toLowerCase()) ?? { secret: isSecret(name), account: isAccount(name) },
    );
  }

  isSecret(name: string): boolean {
    return this.#kindOf(name).secret;
  }

  /** Whether a name distinguishes callers: it holds a secret or identifies an account. */
  isIdentity(name: string): boolean {
    const { account, secret } = this.#kindOf(name);
    return account || secret;
  }

  /**
   * The identity of a caller: names (in lower case) and values of the secrets and accounts of a request, flat and in its
   * order. Empty if there are none. The result contains secrets, so hash it.
   */
  identityOf({ headers, target }: Named): string[] {
    const found: string[] = [];
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string;
      if (this.isIdentity(name)) found.push(name.toLowerCase(), headers[i + 1] as string);
    }
    for (const pair of pairsOf(target)) {
      const name = nameOf(pair);
      if (this.isSecret(name)) found.push(`?${name.toLowerCase()}`, pair.slice(pair.indexOf('=') + 1));
    }
    return found;
  }

  /** The identity, sorted and without values that are created per message, so that it is equal for all calls of a caller. */
  lastingIdentityOf(named: Named): string[] {
    const all = this.identityOf(named);
    return fieldPairs(all)
      .filter(([name]) => !PER_MESSAGE.test(name))
      .toSorted(byText)
      .flat();
  }
}

/** The built-in patterns alone, for code without a route. */
export const RECOGNISED: CredentialNames = new CredentialNames();

/** Prefixes each text with its length, so that the joined lists `ab`,`c` and `a`,`bc` differ. */
export const framed = (texts: readonly string[]): string[] => texts.map((text) => `${text.length}:${text}`);

/** The fields that may be sent to another server: without secrets, and without names (lower case) for which `drop` is true. */
export function withoutSecrets(
  headers: RawHeaders,
  names: CredentialNames,
  drop: (name: string) => boolean,
): string[] {
  return withoutFields(headers, (name) => names.isSecret(name) || drop(name));
}

/** A query (without `?`) without secret parameters. Some APIs accept their key as a parameter. */
export function queryWithoutSecrets(query: string, names: CredentialNames): string {
  return query
    .split('&')
    .filter((pair) => !names.isSecret(nameOf(pair)))
    .join('&');
}

/** The target without the parameters of these (decoded) names; the same text if there are none. */
export function withoutParameters(target: string, names: ReadonlySet<string>): string {
  const pairs = pairsOf(target);
  const left = pairs.filter((pair) => !names.has(nameOf(pair)));
  if (left.length === pairs.length) return target;
  return left.length === 0 ? (target.split('?', 1)[0] as string) : withQuery(target, left);
}

/** Replaces the value of a secret parameter in a stored target. */
const SEALED_VALUE = '[sealed]';

/** A parameter that was removed from a query: its index, and its text as sent. */
type ExtractedPair = readonly [at: number, pair: string];

/** Replaces the values of secret parameters in a target. Returns the new target and the original parameters. */
export function extractSecrets(
  target: string,
  names: CredentialNames,
): { target: string; extracted: ExtractedPair[] } {
  const pairs = pairsOf(target);
  const extracted = pairs.flatMap((pair, at): ExtractedPair[] =>
    names.isSecret(nameOf(pair)) ? [[at, pair]] : [],
  );
  if (extracted.length === 0) return { target, extracted };
  for (const [at, pair] of extracted) pairs[at] = `${pair.split('=', 1)[0]}=${SEALED_VALUE}`;
  return { target: withQuery(target, pairs), extracted };
}

/** Undoes `extractSecrets`. */
export function restoreSecrets(target: string, extracted: readonly ExtractedPair[]): string {
  const pairs = pairsOf(target);
  for (const [at, pair] of extracted) pairs[at] = pair;
  return extracted.length === 0 ? target : withQuery(target, pairs);
}

/** Adds secret parameters to another target of the same API, except those that it names itself. */
export function addSecrets(target: string, extracted: readonly ExtractedPair[]): string {
  const pairs = pairsOf(target).filter((pair) => pair !== '');
  const named = new Set(pairs.map(nameOf));
  const missing = extracted.flatMap(([, pair]) => (named.has(nameOf(pair)) ? [] : [pair]));
  return missing.length === 0 ? target : withQuery(target, [...pairs, ...missing]);
}

const withQuery = (target: string, pairs: readonly string[]): string =>
  `${target.split('?', 1)[0]}?${pairs.join('&')}`;

/** Orders by name, then by value. */
function byText([a = '', x = '']: readonly string[], [b = '', y = '']: readonly string[]): number {
  if (a === b) return x < y ? -1 : Number(x > y);
  return a < b ? -1 : 1;
}

/** The parameters of a target's query, as sent. */
function pairsOf(target: string): string[] {
  const mark = target.indexOf('?');
  return mark < 0 ? [] : target.slice(mark + 1).split('&');
}

/** The decoded name of a parameter. */
function nameOf(pair: string): string {
  return new URLSearchParams(pair).keys().next().value ?? '';
}
