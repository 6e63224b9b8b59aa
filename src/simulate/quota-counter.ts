import type { Limits, Tells } from './effect.ts';

/** Whether the quota allows an attempt, and the headers that describe the quota. */
export interface Counted {
  readonly allowed: boolean;
  readonly headers: readonly string[];
}

/** The quota of one API key, or of one endpoint. */
export class QuotaCounter {
  readonly #limits: Limits;
  /** Used in this window, or taken from the bucket. */
  #used = 0;
  #since = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Counts an attempt. `now`: milliseconds since the fault began. `wallMs`: the same time since the epoch. */
  count(now: number, wallMs: number): Counted {
    this.#restore(now);
    const { requests, tells } = this.#limits;
    const allowed = this.#used + 1 <= requests;
    if (allowed) this.#used++;
    const fields = FIELDS[tells]({
      limit: requests,
      remaining: Math.max(0, Math.floor(requests - this.#used)),
      wholeInMs: this.#wholeInMs(now),
      nextInMs: allowed ? undefined : this.#nextInMs(now),
      wallMs,
    });
    return { allowed, headers: Object.entries(fields).flat() };
  }

  #restore(now: number): void {
    const { refill, requests, windowMs } = this.#limits;
    if (refill === 'bucket') {
      this.#used = Math.max(0, this.#used - ((now - this.#since) * requests) / windowMs);
      this.#since = now;
    } else if (now - this.#since >= windowMs) {
      this.#since = Math.floor(now / windowMs) * windowMs;
      this.#used = 0;
    }
  }

  #wholeInMs(now: number): number {
    const { refill, requests, windowMs } = this.#limits;
    return refill === 'bucket' ? (this.#used * windowMs) / requests : this.#since + windowMs - now;
  }

  #nextInMs(now: number): number {
    const { refill, requests, windowMs } = this.#limits;
    return refill === 'bucket' ? ((this.#used + 1 - requests) * windowMs) / requests : this.#wholeInMs(now);
  }
}

interface State {
  readonly limit: number;
  readonly remaining: number;
  readonly wholeInMs: number;
  /** Only for a refusal: time until the next attempt is allowed. */
  readonly nextInMs: number | undefined;
  readonly wallMs: number;
}

const seconds = (ms: number): string => String(Math.ceil(ms / 1_000));

type Fields = Readonly<Record<string, string>>;

const retryAfter = ({ nextInMs }: State): Fields =>
  nextInMs === undefined ? {} : { 'Retry-After': seconds(nextInMs) };

const FIELDS: Readonly<Record<Tells, (state: State) => Fields>> = {
  nothing: () => ({}),
  'retry-after': retryAfter,
  'x-ratelimit': (state) => ({
    'X-RateLimit-Limit': String(state.limit),
    'X-RateLimit-Remaining': String(state.remaining),
    'X-RateLimit-Reset': seconds(state.wholeInMs),
    ...retryAfter(state),
  }),
  // The reset is the date at which the bucket is full.
  anthropic: (state) => ({
    'Anthropic-RateLimit-Requests-Limit': String(state.limit),
    'Anthropic-RateLimit-Requests-Remaining': String(state.remaining),
    'Anthropic-RateLimit-Requests-Reset': moment(state.wallMs + state.wholeInMs),
    ...retryAfter(state),
  }),
  // The reset is the time until the bucket is full.
  openai: (state) => ({
    'X-RateLimit-Limit-Requests': String(state.limit),
    'X-RateLimit-Remaining-Requests': String(state.remaining),
    'X-RateLimit-Reset-Requests': `${Math.ceil(state.wholeInMs)}ms`,
  }),
};

const moment = (wallMs: number): string => new Date(Math.ceil(wallMs / 1_000) * 1_000).toISOString();
