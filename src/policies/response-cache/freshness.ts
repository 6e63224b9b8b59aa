import CachePolicy from 'http-cache-semantics';
import { headerOf, headersOf, type RawHeaders } from '../../http/headers.ts';
import type { Call } from '../../proxy/call.ts';
import type { CacheOptions } from './options.ts';
import type { Clock } from '../../runtime/clock.ts';
import { directives } from './request.ts';

type Fields = Record<string, string>;

/** `fresh`: may be given as it is. `stale`: may be given while another is fetched. `old`: must be checked first. */
export type Age = 'fresh' | 'stale' | 'old';

/** The library's rules on a clock of ours. */
export type Rules = typeof CachePolicy;

/** Ages do not change with the wall clock; it is for replies that have an Expires and no Date. */
export function rulesFrom(clock: Pick<Clock, 'now' | 'wallTime'>): Rules {
  const epoch = clock.wallTime() - clock.now();
  return class extends CachePolicy {
    // Declared nowhere, and documented to be replaced.
    now(): number {
      return epoch + clock.now();
    }
  };
}

/** How long one reply may be given again (RFC 9111, RFC 5861): what it says of itself, and what the route's options add. */
export class Freshness {
  readonly #policy: CachePolicy;
  /** By what the reply says, nothing that a client says can make it be given when it is no longer fresh. */
  readonly #neverStale: boolean;
  /** What the upstream is asked by whether it is still good. */
  readonly validators: RawHeaders;

  constructor(reply: { status: number; headers: RawHeaders }, options: CacheOptions, rules: Rules) {
    const { status } = reply;
    const fields = fieldsOf(reply.headers);
    const control = lifetimeOf(fields, HAS_TTL.has(status) ? options : { ...options, ttlMs: 0 });
    this.#neverStale = FORBIDS_STALE.test(control);
    fields['cache-control'] = this.#neverStale ? withoutStale(control) : withStale(control, options);
    // Kept apart per caller, so that it is each caller's private cache; and nothing is guessed from Last-Modified.
    const how = { shared: false, cacheHeuristic: 0 };
    this.#policy = new rules(NO_REQUEST, { status, headers: fields }, how);
    this.validators = validatorsOf(reply.headers);
  }

  /** Whether it may be kept, and is worth it: by its status and directives, and because it can be given again or checked. */
  get storable(): boolean {
    return this.#policy.storable() && (this.#policy.timeToLive() > 0 || this.validators.length > 0);
  }

  /** Seconds since the upstream made or last confirmed it. */
  get ageSeconds(): number {
    return Math.max(0, Math.round(this.#policy.age()));
  }

  /** Seconds until it is stale; negative since then. */
  get ttlSeconds(): number {
    return Math.round(this.#policy.maxAge() - this.#policy.age());
  }

  of(call: Call): Age {
    if (this.#neverStale && this.#policy.stale()) return 'old';
    const { response, revalidation } = this.#policy.evaluateRequest(requestOf(call));
    if (response === undefined) return 'old';
    return revalidation === undefined ? 'fresh' : 'stale';
  }

  /** Whether `call` may get it in place of an error of the upstream. */
  usableOnError(call: Call): boolean {
    if (directives(call).includes('no-cache')) return false;
    const { policy } = this.#policy.revalidatedPolicy(NO_REQUEST, { status: 503, headers: {} });
    return policy === this.#policy;
  }
}

/** Nothing of a request is kept: variants are found by `varyOf`, and callers are kept apart by their key. */
const NO_REQUEST = { url: '', method: 'GET', headers: {} };

function requestOf(call: Call) {
  const pragma = headerOf(call.headers, 'pragma')?.toLowerCase();
  const headers: Fields = { 'cache-control': directives(call) };
  if (pragma !== undefined) headers['pragma'] = pragma;
  return { ...NO_REQUEST, headers };
}

function validatorsOf(headers: RawHeaders): RawHeaders {
  const etag = headerOf(headers, 'etag');
  const since = headerOf(headers, 'last-modified');
  return [
    ...(etag === undefined ? [] : ['if-none-match', etag]),
    ...(since === undefined ? [] : ['if-modified-since', since]),
  ];
}

/** What the library is to know of a reply. A field that came more than once is joined (RFC 9110 §5.3). */
const KNOWN = ['cache-control', 'pragma', 'expires', 'date', 'age'];

function fieldsOf(headers: RawHeaders): Fields {
  const fields: Fields = {};
  for (const name of KNOWN) {
    const values = headersOf(headers, name);
    if (values.length > 0) fields[name] = values.join(', ');
  }
  // One that is no number would make it younger than it is, or is nonsense.
  if (!/^\d+$/.test(fields['age'] ?? '')) delete fields['age'];
  return fields;
}

/** Statuses of which `ttl` speaks: no errors, and no redirect that may be another the next time (RFC 9110 §15.1). */
const HAS_TTL: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308]);
const SAYS_FRESHNESS = /\b(?:max-age|s-maxage|no-cache|no-store)\b/;
const FORBIDS_STALE = /\b(?:must-revalidate|no-cache)\b/;
const seconds = (ms: number) => Math.ceil(ms / 1_000);

/** The reply's own Cache-Control, or the route's `ttl` in its terms. */
function lifetimeOf(fields: Fields, { ttlMs = 0, override }: CacheOptions): string {
  // The library knows directives in lower case only, and Pragma only where there is no Cache-Control at all.
  const own =
    fields['cache-control']?.toLowerCase() ?? (/no-cache/i.test(fields['pragma'] ?? '') ? 'no-cache' : '');
  if (ttlMs === 0) return own;
  if (override) return `max-age=${seconds(ttlMs)}`;
  const says = SAYS_FRESHNESS.test(own) || fields['expires'] !== undefined;
  return says ? own : joined(own, `max-age=${seconds(ttlMs)}`);
}

/** With must-revalidate the library would ask every time; all that is demanded is that nothing stale is given (RFC 9111 §5.2.2.2). */
function withoutStale(control: string): string {
  return control
    .split(',')
    .filter((directive) => !/^\s*(?:must-revalidate|stale-)/.test(directive))
    .join(',');
}

function withStale(control: string, { staleWhileRevalidateMs, staleIfErrorMs }: CacheOptions): string {
  const more = [
    ['stale-while-revalidate', staleWhileRevalidateMs],
    ['stale-if-error', staleIfErrorMs],
  ] as const;
  return more.reduce(
    (all, [name, ms]) => (ms > 0 && !all.includes(name) ? joined(all, `${name}=${seconds(ms)}`) : all),
    control,
  );
}

const joined = (before: string, more: string): string => (before === '' ? more : `${before}, ${more}`);
