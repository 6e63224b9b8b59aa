/** One fault of an upstream as data: which attempts it affects while the scenario's fault lasts, and how. */
export interface Trouble {
  readonly does: Effect;
  /** It affects this share of attempts, at random. Default: all. */
  readonly share?: number;
  /** It affects at most this number of attempts. Default: no limit. */
  readonly most?: number;
  /** It alternates: this long active, this long inactive. */
  readonly everyMs?: number;
}

/**
 * `answers`: an error at once, or after `afterMs`. `slows`: served so many times slower. `hangs`: no answer, or one after the
 * end of the fault. `streams`: the head of a stream, and no event or an error event. `breaks`: the connection fails, before or after the request was sent. `limits`: a quota.
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
  | { readonly kind: 'streams'; readonly content: 'nothing' | 'error' }
  | Limits;

/** A quota, and the headers that describe it. */
export interface Limits {
  readonly kind: 'limits';
  /** Which calls are counted together. `key`: all calls with the same API key, at any endpoint. */
  readonly per: 'endpoint' | 'key';
  /** `requests` in each window of `windowMs`, or in a bucket that refills continuously within `windowMs`. */
  readonly refill: 'window' | 'bucket';
  readonly requests: number;
  readonly windowMs: number;
  readonly tells: Tells;
}

/** `nothing`; only Retry-After with a 429; or that and one of the families of headers with each reply. */
export type Tells = 'nothing' | 'retry-after' | 'x-ratelimit' | 'anthropic' | 'openai';
