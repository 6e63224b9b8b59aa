import type { ProxyError } from '../proxy/errors.ts';
import type { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Random } from '../runtime/random.ts';
import { whileWanted } from '../runtime/while-wanted.ts';

/** A secret as its issuer gave it. */
export interface Issued<T> {
  readonly secret: T;
  /** Milliseconds from the request for it; Infinity if the issuer names no end. */
  readonly lifetimeMs: number;
  /** When it was requested, on the scale of `clock.real()`; undefined: when `Issue` was called. */
  readonly issuedAt?: number | undefined;
}

/** Requests a new secret, in place of the one that is `held`. Rejects with a ProxyError. */
export type Issue<T> = (held: T | undefined) => Promise<Issued<T>>;

export interface ExpiringSecretDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds without a request after this many failures in a row, jittered. */
  readonly holdOffMs: (failures: number) => number;
  readonly onResult: (result: IssueResult) => void;
}

/** `failed`: why there is no new secret. */
export type IssueResult =
  | { readonly kind: 'renewed' }
  | { readonly kind: 'failed'; readonly error: ProxyError };

/** The part of the lifetime after which the next use renews the secret. The spread separates replicas. */
const RENEWED_AFTER = 0.8;
const SPREAD = 0.1;

/** A secret ends this much earlier for its users, so that it does not expire on its way. At most a tenth of its lifetime. */
const MARGIN_MS = 5_000;

/**
 * The shortest time between two renewals because an upstream has refused the secret. It may refuse each one for another reason,
 * and must not cause a request for a secret with each call.
 */
const BETWEEN_REFUSALS_MS = 30_000;

interface Held<T> {
  readonly secret: T;
  /** From this moment on, the next use renews it, and goes on with it. */
  readonly renewAt: number;
  /** From this moment on, it must not be used. */
  readonly expiresAt: number;
}

interface Failure<T> {
  readonly error: ProxyError;
  readonly count: number;
  /** No request for a secret before this moment, unless with another `issue`. */
  readonly until: number;
  readonly issue: Issue<T>;
}

/**
 * A secret that expires, also while the process is stopped: an access token, or temporary keys. One request serves all who wait. It has no timers: its users renew it.
 * `issue` is an argument, because a reload may change how a secret is requested while the secret itself stays valid.
 */
export class ExpiringSecret<T> {
  readonly #deps: ExpiringSecretDeps;
  #held: Held<T> | undefined;
  #running: Promise<T> | undefined;
  #failure: Failure<T> | undefined;
  #nextRefusalAt = Number.NEGATIVE_INFINITY;

  constructor(deps: ExpiringSecretDeps) {
    this.#deps = deps;
  }

  /** The secret; a promise if none is valid now. It rejects with a ProxyError, at once while requests are held off. */
  get(issue: Issue<T>): T | Promise<T> {
    const now = this.#deps.clock.real();
    const held = this.#held;
    if (held === undefined || now >= held.expiresAt) return this.#request(issue, now);
    // A failure is reported by `onResult`, and the secret is still valid.
    if (now >= held.renewAt) this.#request(issue, now).catch(() => undefined);
    return held.secret;
  }

  /**
   * After an upstream has refused a secret: true if there is another one, which took its place or is new. False: the refusal stands,
   * because the issuer gave the same one or none, or because a renewal for this reason was tried a short time ago.
   */
  async renew(isRefused: (secret: T) => boolean, issue: Issue<T>, signal: Abort): Promise<boolean> {
    const now = this.#deps.clock.real();
    const held = this.#held;
    if (held !== undefined && !isRefused(held.secret) && now < held.expiresAt) return true;
    if (this.#running === undefined) {
      if (now < this.#nextRefusalAt) return false;
      this.#nextRefusalAt = now + BETWEEN_REFUSALS_MS;
    }
    try {
      return !isRefused(await whileWanted(this.#request(issue, now), signal));
    } catch {
      return false;
    }
  }

  /** Milliseconds until it expires; undefined if there is none. Infinity if it has no end. */
  expiresMs(): number | undefined {
    return this.#held && Math.max(0, this.#held.expiresAt - this.#deps.clock.real());
  }

  /** Why the latest request failed; undefined if it did not. */
  get failure(): string | undefined {
    return this.#failure?.error.message;
  }

  #request(issue: Issue<T>, now: number): Promise<T> {
    if (this.#running !== undefined) return this.#running;
    const failure = this.#failure;
    if (failure !== undefined && now < failure.until && failure.issue === issue)
      return Promise.reject(failure.error);
    this.#running = this.#issued(issue, now).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #issued(issue: Issue<T>, startedAt: number): Promise<T> {
    const { clock, holdOffMs, onResult, random } = this.#deps;
    try {
      const { secret, lifetimeMs, issuedAt = startedAt } = await issue(this.#held?.secret);
      const margin = Math.min(MARGIN_MS, lifetimeMs / 10);
      this.#held = {
        secret,
        renewAt: issuedAt + lifetimeMs * (RENEWED_AFTER + SPREAD * random()),
        expiresAt: issuedAt + lifetimeMs - margin,
      };
      this.#failure = undefined;
      onResult({ kind: 'renewed' });
      return secret;
    } catch (error) {
      const count = (this.#failure?.count ?? 0) + 1;
      this.#failure = { error: error as ProxyError, count, until: clock.real() + holdOffMs(count), issue };
      onResult({ kind: 'failed', error: error as ProxyError });
      throw error;
    }
  }
}
