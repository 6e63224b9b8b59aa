import { Directives, deltaSeconds } from '../../http/cache-control.ts';
import { headerOf, headersOf, type RawHeaders } from '../../http/headers.ts';
import { httpDateMs, sentWallMs } from '../../http/http-date.ts';
import { membersOf } from '../../http/lists.ts';
import type { Call } from '../../proxy/call.ts';
import type { CacheOptions } from './options.ts';
import { asksForFresh, saysPragmaNoCache } from './request.ts';

/*
 * RFC 9111 for a shared cache in which each reply belongs to one caller. The directives for shared caches count: `s-maxage`,
 * `proxy-revalidate`. `private` and `Authorization` exclude other callers. The cache key of a known caller does that too, so
 * such a reply is cached for that caller. CDN-Cache-Control (RFC 9213) is for caches that the API's operator can purge, which
 * this one is not. So the field can shorten or forbid, but never lengthen or allow.
 */

/** `fresh`: may be served. `stale`: may be served while another is fetched. `old`: must be revalidated first. */
export type Age = 'fresh' | 'stale' | 'old';

/** The arrival of a reply. */
export interface Arrival {
  /** On the scale of `clock.real()`. */
  readonly now: number;
  readonly wallMs: number;
  /** The request identifies its caller, so that no other caller gets the reply. */
  readonly callerKnown: boolean;
}

type Head = Readonly<{ status: number; headers: RawHeaders }>;

/** In seconds. */
interface Terms {
  /** Whether the reply or the route's options allow caching. */
  readonly allowed: boolean;
  readonly lifetime: number;
  readonly staleWhileRevalidate: number;
  readonly staleIfError: number;
  /** Whether a client may get it stale with `max-stale`. */
  readonly maxStale: boolean;
}

/** How long one reply may be served (RFC 9111, RFC 5861): by its own headers and by the route's options. */
export class Freshness {
  readonly #status: number;
  readonly #terms: Terms;
  /** When it was made or last confirmed, on the scale of `clock.real()`: its age does not change with the wall clock. */
  readonly #madeAt: number;
  readonly #arrivedAt: number;
  /** The request headers that revalidate it. */
  readonly validators: RawHeaders;

  constructor(head: Head, options: CacheOptions, arrival: Arrival) {
    this.#status = head.status;
    this.#terms = options.override && hasTtl(head, options) ? byTtl(options) : bySelf(head, options, arrival);
    this.#arrivedAt = arrival.now;
    this.#madeAt = arrival.now - ageOf(head.headers) * 1_000;
    this.validators = validatorsOf(head.headers);
  }

  /** Whether it may be cached (status, directives), and can be served or revalidated later. */
  get storable(): boolean {
    const { allowed, staleIfError, staleWhileRevalidate } = this.#terms;
    if (!allowed || !UNDERSTOOD.has(this.#status)) return false;
    const usable = this.#left(this.#arrivedAt) + Math.max(staleIfError, staleWhileRevalidate) > 0;
    return usable || (this.validators.length > 0 && !TEMPORARY.has(this.#status));
  }

  /** Seconds since the upstream made or last confirmed it. */
  ageSeconds(now: number): number {
    return Math.round(this.#age(now));
  }

  /** Seconds until it is stale; negative if it is stale. */
  ttlSeconds(now: number): number {
    return Math.round(this.#left(now));
  }

  of(call: Call, now: number): Age {
    const asked = new Directives(call.headers);
    const left = this.#left(now);
    if (asksForFresh(call, asked)) return 'old';
    if (this.#age(now) > (asked.seconds('max-age') ?? Infinity)) return 'old';
    if (left < (asked.seconds('min-fresh') ?? -Infinity)) return 'old';
    if (left > 0 || (this.#terms.maxStale && takesStale(asked, -left))) return 'fresh';
    return left + this.#terms.staleWhileRevalidate > 0 ? 'stale' : 'old';
  }

  /** Whether `call` may get it instead of an error of the upstream. */
  usableOnError(call: Call, now: number): boolean {
    if (asksForFresh(call, new Directives(call.headers))) return false;
    return this.#left(now) + this.#terms.staleIfError > 0;
  }

  #age(now: number): number {
    return (now - this.#madeAt) / 1_000;
  }

  #left(now: number): number {
    return this.#terms.lifetime - this.#age(now);
  }
}

const takesStale = (asked: Directives, by: number): boolean =>
  asked.isBare('max-stale') || by <= (asked.seconds('max-stale') ?? -Infinity);

/** Statuses whose meaning for a cache is known (RFC 9111 §3). 206 is missing, because partial replies are not cached. */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501,
]);

/** Statuses that are cached only for the time that the reply names. */
const TEMPORARY: ReadonlySet<number> = new Set([302, 303, 307]);

/** Statuses that `ttl` applies to: no errors, and no temporary redirects (RFC 9110 §15.1). */
const HAS_TTL: ReadonlySet<number> = new Set([200, 203, 204, 300, 301, 308]);

const hasTtl = ({ status }: Head, { ttlMs = 0 }: CacheOptions): boolean => ttlMs > 0 && HAS_TTL.has(status);

const seconds = (ms: number) => Math.ceil(ms / 1_000);

function byTtl({ ttlMs = 0, staleIfErrorMs, staleWhileRevalidateMs }: CacheOptions): Terms {
  return {
    allowed: true,
    lifetime: seconds(ttlMs),
    staleIfError: seconds(staleIfErrorMs),
    staleWhileRevalidate: seconds(staleWhileRevalidateMs),
    maxStale: true,
  };
}

function bySelf(head: Head, options: CacheOptions, { callerKnown, wallMs }: Arrival): Terms {
  const own = new Directives(head.headers);
  const cdn = new Directives(head.headers, 'cdn-cache-control');
  const says = (...names: string[]): boolean => names.some((name) => own.has(name) || cdn.has(name));
  const toCheck = says('no-cache') || isPragmaNoCache(head.headers, own);
  const lifetime = Math.min(lifetimeOf(head, own, { options, wallMs }), maxAgeOf(cdn) ?? Infinity);
  return {
    allowed: !forbids(own) && !forbids(cdn) && (callerKnown || !says('private')),
    lifetime: toCheck ? 0 : lifetime,
    ...(toCheck || says('must-revalidate', 'proxy-revalidate') ? NEVER_STALE : staleOf(own, cdn, options)),
    // `s-maxage` forbids it too (RFC 9111 §5.2.2.10). Only the API itself and the operator may allow what it forbids.
    maxStale: !toCheck && !says('must-revalidate', 'proxy-revalidate', 's-maxage'),
  };
}

const NEVER_STALE = { staleIfError: 0, staleWhileRevalidate: 0 };

function staleOf(own: Directives, cdn: Directives, options: CacheOptions): typeof NEVER_STALE {
  const least = (name: string, ms: number): number =>
    Math.min(own.seconds(name) ?? seconds(ms), cdn.seconds(name) ?? Infinity);
  return {
    staleIfError: least('stale-if-error', options.staleIfErrorMs),
    staleWhileRevalidate: least('stale-while-revalidate', options.staleWhileRevalidateMs),
  };
}

/** With must-understand, no-store is only for caches that do not know the status (RFC 9111 §5.2.2.3). */
const forbids = (directives: Directives): boolean =>
  directives.has('no-store') && !directives.has('must-understand');

/** Pragma counts only without Cache-Control. */
const isPragmaNoCache = (headers: RawHeaders, own: Directives): boolean =>
  own.none && saysPragmaNoCache(headers);

/** The age in seconds from which on a shared cache must treat it as stale. */
const maxAgeOf = (directives: Directives): number | undefined =>
  directives.seconds('s-maxage') ?? directives.seconds('max-age');

interface LifetimeParts {
  readonly options: CacheOptions;
  readonly wallMs: number;
}

/** Seconds. Last-Modified is not used for an estimate. */
function lifetimeOf(head: Head, own: Directives, { options, wallMs }: LifetimeParts): number {
  const said = maxAgeOf(own) ?? expiresIn(head.headers, wallMs);
  return said ?? (hasTtl(head, options) ? seconds(options.ttlMs ?? 0) : 0);
}

/** Seconds until Expires. An invalid date has expired (RFC 9111 §5.3), and so have several different ones. */
function expiresIn(headers: RawHeaders, wallMs: number): number | undefined {
  const [expires, ...more] = headersOf(headers, 'expires');
  if (expires === undefined) return undefined;
  const at = more.every((other) => other === expires) ? httpDateMs(expires.trim(), wallMs) : undefined;
  return at === undefined ? 0 : Math.max(0, (at - (sentWallMs(headers, wallMs) ?? wallMs)) / 1_000);
}

/** The Age in seconds. The first of a list counts, and an invalid one counts as 0 (RFC 9111 §5.1). */
function ageOf(headers: RawHeaders): number {
  const [first = ''] = membersOf(headerOf(headers, 'age') ?? '');
  return deltaSeconds(first) ?? 0;
}

function validatorsOf(headers: RawHeaders): RawHeaders {
  const etag = headerOf(headers, 'etag');
  const since = headerOf(headers, 'last-modified');
  return [
    ...(etag === undefined ? [] : ['if-none-match', etag]),
    ...(since === undefined ? [] : ['if-modified-since', since]),
  ];
}
