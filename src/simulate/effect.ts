/** What an upstream does to some attempts while the fault lasts: a fault as data. */
export interface Trouble {
  readonly does: Effect;
  /** It concerns this share of attempts, at random; all when left out. */
  readonly share?: number;
  /** It concerns no more than so many attempts; any number when left out. */
  readonly most?: number;
  /** It comes and goes: so long there, so long gone. */
  readonly everyMs?: number;
}

/**
 * `answers`: refuses at once, or after `afterMs`; `slows`: serves, so many times slower; `hangs`: no answer, or one when the fault is over;
 * `breaks`: the connection, before or after the request was sent; `limits`: serves as many as a quota allows.
 */
export type Effect =
  | {
      readonly kind: 'answers';
      readonly status: number;
      readonly headers?: readonly string[];
      readonly afterMs?: number;
    }
  | { readonly kind: 'slows'; readonly times: number }
  | { readonly kind: 'hangs'; readonly untilOver?: boolean }
  | { readonly kind: 'breaks'; readonly code: 'connection_refused' | 'connection_terminated' }
  | Limits;

/** A quota, and how its replies speak of it. */
export interface Limits {
  readonly kind: 'limits';
  /** Whose calls are counted together. `key`: all calls with the same API key, at whatever endpoint. */
  readonly per: 'endpoint' | 'key';
  /** `requests` in each window of `windowMs`, or in a bucket that flows back one by one in `windowMs` altogether. */
  readonly refill: 'window' | 'bucket';
  readonly requests: number;
  readonly windowMs: number;
  readonly tells: Tells;
}

/** `nothing`; only Retry-After with a 429; or that and one of the families of headers with each reply. */
export type Tells = 'nothing' | 'retry-after' | 'x-ratelimit' | 'anthropic' | 'openai';
