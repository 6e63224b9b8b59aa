import { digits } from './digits.ts';
import { splitUnquoted } from './quoted.ts';

/** One member of the RateLimit or RateLimit-Policy field. Absent or invalid numbers are undefined. */
export interface RateLimitItem {
  /** The name of its policy. */
  readonly policy: string;
  /** `q`: the quota in units. */
  readonly quota: number | undefined;
  /** `w`, in seconds. */
  readonly windowSeconds: number | undefined;
  /** `r`: units left. */
  readonly remaining: number | undefined;
  /** `t`: seconds until the quota is restored. */
  readonly resetSeconds: number | undefined;
  /** `qu`: the unit that is counted. */
  readonly unit: string;
}

/** Members that are read per field. Real fields have two or three. The bound protects memory. */
const MOST_ITEMS = 8;

/**
 * The members of `RateLimit: "day";r=50;t=30` and of `RateLimit-Policy: "day";q=100;w=60`
 * (draft-ietf-httpapi-ratelimit-headers-10 §3 and §4), which are lists of RFC 9651. Parsing is lenient: unreadable numbers
 * are undefined. `limit=100, remaining=50, reset=5` of draft 7 is one member.
 */
export function rateLimitItems(value: string): readonly RateLimitItem[] {
  const members = splitUnquoted(value, ',');
  if (/^\s*(?:limit|remaining|reset)=/.test(value)) return [asDraft7(members)];
  return members.slice(0, MOST_ITEMS).map(itemOf);
}

function itemOf(member: string): RateLimitItem {
  const [name = '', ...parameters] = splitUnquoted(member, ';').map((part) => part.trim());
  const values = new Map(parameters.map(keyAndValue));
  const number = (key: string) => wholeNumber(values.get(key));
  return {
    policy: bare(name),
    // Drafts before 8 have the quota in place of the name: `100;w=60`.
    quota: number('q') ?? wholeNumber(name),
    windowSeconds: number('w'),
    remaining: number('r'),
    resetSeconds: number('t'),
    unit: bare(values.get('qu') ?? 'requests'),
  };
}

function asDraft7(members: readonly string[]): RateLimitItem {
  const values = new Map(members.map(keyAndValue));
  return {
    policy: '',
    quota: wholeNumber(values.get('limit')),
    windowSeconds: undefined,
    remaining: wholeNumber(values.get('remaining')),
    resetSeconds: wholeNumber(values.get('reset')),
    unit: 'requests',
  };
}

function keyAndValue(text: string): [key: string, value: string] {
  const at = text.indexOf('=');
  return at < 0 ? [text.trim(), ''] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

const bare = (text: string): string =>
  text.startsWith('"') ? text.slice(1, -1).replaceAll(/\\(["\\])/g, '$1') : text;

/** A non-negative integer of at most 15 digits (RFC 9651 §3.3.1). */
const wholeNumber = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : digits(text);
