import { fieldPairs, type RawHeaders, withoutFields } from './headers.ts';

/*
 * The one place that knows which names hold a secret and which say for whom a call is. All code that stores, shows,
 * compares, hashes or forwards credentials asks it: durable requests, dedupe, cache, fallback, log, `explain`, admin API.
 */

/** Stands in a log line, a dump or a page where a secret was. */
export const REDACTED = '[redacted]';

/**
 * Names of headers, query parameters and fields whose value is a secret, as far as a name can tell. A false alarm costs
 * little (`identity.ignored_names` ends it); a miss gives a secret away.
 */
const SECRET =
  /auth|key|token(?!s)|secret|cookie|passw|passphrase|passcode|signature|credential|session|jwt|assertion|bearer|[-_](?:access|api)[-_]sign$|^(?:api-sign|sig|sign|sid|pwd|pass|appid|x-honeycomb-team)$/i;

/** Parts of names that look like the above and open nothing. They are cut out before the rest is judged. */
const HARMLESS =
  /(?:breakwater|idempotency|partition|sort|order|routing|cache|surrogate|public|primary|foreign|object|shard|group|message|event|search|websocket|row)[-_]?keys?|(?:page|next|continuation|cursor|sync|delta|skip|resume|sequence|max)[-_]?tokens?|author(?!i[sz])|authorit(?:y|ies)|credential[-_]?hash|keyword|keyboard|(?:key|secret)s?[-_]?(?:header|name)s?$/gi;

/** Names that say for whom a call is and hold no secret: `Stripe-Account`, `OpenAI-Organization`, GitLab's `Sudo`. */
const ACCOUNT =
  /account|organi[sz]ation|(?:^|[-_])org(?:$|[-_])|project|tenant|workspace|customer|user(?!-?agent)|subject|identity|behalf|impersonat|merchant|context|(?:^|[-_])team(?:$|[-_])|(?:client|app|application|partner|company|realm|shop|store)[-_]?id$|^sudo$/i;

/** These change with each message or trace one: they say nothing about the caller. */
const OF_THE_MESSAGE = /trace|correlation|request|telemetry|user-?agent/i;

/** Made for one message: a repeat that is signed again is still a repeat by the same caller. */
const PER_MESSAGE = /signature|sign$|^sig$|timestamp|nonce/i;

/** True for names of headers, query parameters and fields whose value is a secret. */
export function isSecret(name: string): boolean {
  return SECRET.test(name) && SECRET.test(name.replace(HARMLESS, ''));
}

const isAccount = (name: string): boolean => ACCOUNT.test(name) && !OF_THE_MESSAGE.test(name);

/** Names of one route's calls, in lower case, that add to what names tell by themselves. */
export interface IdentityOptions {
  /** They hold a secret. */
  readonly secretNames: readonly string[];
  /** They say for whom a call is. */
  readonly accountNames: readonly string[];
  /** They are neither, whatever they look like. */
  readonly ignoredNames: readonly string[];
}

const NO_NAMES: IdentityOptions = { secretNames: [], accountNames: [], ignoredNames: [] };

interface Kind {
  readonly secret: boolean;
  readonly account: boolean;
}

/** Names are chosen by clients: no more of them than this are remembered. */
const MOST_REMEMBERED = 500;

/** A request as far as it says who sends it. */
interface Named {
  readonly headers: RawHeaders;
  /** Path and query. */
  readonly target: string;
}

/** Which headers and query parameters of a route's calls are secrets, and which say for whom a call is. */
export class CredentialNames {
  readonly #named: ReadonlyMap<string, Kind>;
  readonly #remembered = new Map<string, Kind>();

  constructor({ secretNames, accountNames, ignoredNames }: IdentityOptions = NO_NAMES) {
    this.#named = new Map<string, Kind>([
      ...accountNames.map((name) => [name, { secret: false, account: true }] as const),
      ...secretNames.map((name) => [name, { secret: true, account: false }] as const),
      ...ignoredNames.map((name) => [name, { secret: false, account: false }] as const),
    ]);
  }

  isSecret(name: string): boolean {
    return this.#kindOf(name).secret;
  }

  /** Secrets and accounts: what tells callers apart. */
  isIdentity(name: string): boolean {
    const { account, secret } = this.#kindOf(name);
    return account || secret;
  }

  /**
   * Who sends a request: the names (in lower case) and values of its secrets and accounts, flat, in the order of the
   * request. Empty: nothing in it says so. These are secrets: hash them.
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

  /** The same in order, without what is made for one message: equal for all messages of one caller. */
  lastingIdentityOf(named: Named): string[] {
    const all = this.identityOf(named);
    return fieldPairs(all)
      .filter(([name]) => !PER_MESSAGE.test(name))
      .toSorted(byText)
      .flat();
  }

  #kindOf(name: string): Kind {
    const known = this.#remembered.get(name);
    if (known !== undefined) return known;
    const kind = this.#named.get(name.toLowerCase()) ?? {
      secret: isSecret(name),
      account: isAccount(name),
    };
    if (this.#remembered.size >= MOST_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(name, kind);
    return kind;
  }
}

/** What names tell by themselves, for code that knows no route. */
export const RECOGNISED: CredentialNames = new CredentialNames();

/** With their lengths, so that `ab`,`c` is not `a`,`bc`. */
export const framed = (texts: readonly string[]): string[] => texts.map((text) => `${text.length}:${text}`);

/**
 * The fields that are fit for another server than the one they were meant for: no secrets, and no names that `drop`, asked
 * by lower-case name, refuses.
 */
export function withoutSecrets(
  headers: RawHeaders,
  names: CredentialNames,
  drop: (name: string) => boolean,
): string[] {
  return withoutFields(headers, (name) => names.isSecret(name) || drop(name));
}

/** A query (without `?`) without its secrets: some APIs take their key as a parameter. */
export function queryWithoutSecrets(query: string, names: CredentialNames): string {
  return query
    .split('&')
    .filter((pair) => !names.isSecret(nameOf(pair)))
    .join('&');
}

/** Stands in a stored target where the value of a secret parameter was. */
const SEALED_VALUE = '[sealed]';

/** A parameter that was taken out of a query: its place among the others, and its text as it was sent. */
type Taken = readonly [at: number, pair: string];

/** A target whose secret parameters have lost their values, and those parameters as they were. */
export function takeSecrets(target: string, names: CredentialNames): { target: string; taken: Taken[] } {
  const pairs = pairsOf(target);
  const taken = pairs.flatMap((pair, at): Taken[] => (names.isSecret(nameOf(pair)) ? [[at, pair]] : []));
  if (taken.length === 0) return { target, taken };
  for (const [at, pair] of taken) pairs[at] = `${pair.split('=', 1)[0]}=${SEALED_VALUE}`;
  return { target: withQuery(target, pairs), taken };
}

/** Undoes `takeSecrets`. */
export function putBack(target: string, taken: readonly Taken[]): string {
  const pairs = pairsOf(target);
  for (const [at, pair] of taken) pairs[at] = pair;
  return taken.length === 0 ? target : withQuery(target, pairs);
}

/** Another target of the same API: it gets the secret parameters that it does not name itself. */
export function addSecrets(target: string, taken: readonly Taken[]): string {
  const pairs = pairsOf(target).filter((pair) => pair !== '');
  const named = new Set(pairs.map(nameOf));
  const missing = taken.flatMap(([, pair]) => (named.has(nameOf(pair)) ? [] : [pair]));
  return missing.length === 0 ? target : withQuery(target, [...pairs, ...missing]);
}

const withQuery = (target: string, pairs: readonly string[]): string =>
  `${target.split('?', 1)[0]}?${pairs.join('&')}`;

/** By name, then by value. */
function byText([a = '', x = '']: readonly string[], [b = '', y = '']: readonly string[]): number {
  if (a === b) return x < y ? -1 : Number(x > y);
  return a < b ? -1 : 1;
}

/** The parameters of a target's query, as they were sent. */
function pairsOf(target: string): string[] {
  const mark = target.indexOf('?');
  return mark < 0 ? [] : target.slice(mark + 1).split('&');
}

/** The decoded name of a parameter. */
function nameOf(pair: string): string {
  return new URLSearchParams(pair).keys().next().value ?? '';
}
