import type { BudgetOptions } from './options.ts';

/** The cost of a retry, in tokens. */
export const RETRY_COST = 1;

/**
 * The cost of a retry after a wait that the upstream asked for, in tokens. It is half, because the upstream chose the time of
 * such a retry, so it is the least likely to add to an overload.
 */
export const ASKED_RETRY_COST = 0.5;

/** Tokens are counted in whole millionths, so that ten successes at 0.6 earn exactly 6. */
const MICRO = 1_000_000;

/** A product less than this below a whole number is rounded up: 1.001 · 1e6 is 1000999.9999999999. */
const FLOAT_ERROR = 1e-3;

/**
 * Limits retries to a share of the successes, so that an outage is not amplified. In every `t` seconds:
 * attempts ≤ requests + cap + ratio · successes + refillPerSecond · t.
 *
 * A retry that the upstream asked for counts half. A retry after a failure before sending does not count. A token that was
 * withdrawn before the window and is refunded in it allows one more retry.
 *
 * Successes earn tokens, not requests: a budget that requests fill is full exactly when everything fails. If attempts fail with
 * probability p, a call needs p + p² retries and brings 1 − p³ successes. With `ratio` 1 (the default), that pays for every
 * retry up to p = 0.54.
 */
export class RetryBudget {
  readonly #cap: number;
  readonly #perSuccess: number;
  readonly #perMs: number;
  #tokens: number;
  #trickling = true;
  /** The start of the refill, and the tokens refilled since. One product for the whole time, so that no fraction is lost or added. */
  #since = 0;
  #refilled = 0;

  constructor({ cap, ratio, refillPerSecond }: BudgetOptions) {
    this.#cap = whole(cap * MICRO);
    this.#perSuccess = whole(ratio * MICRO);
    // Finite, because no time at an infinite rate would be NaN tokens, and NaN refuses nothing.
    this.#perMs = Math.min(Number.MAX_SAFE_INTEGER, (refillPerSecond * MICRO) / 1000);
    this.#tokens = this.#cap;
  }

  /** Call once for each successful attempt. */
  deposit(): void {
    this.#add(this.#perSuccess);
  }

  /** Takes `cost` tokens. False: too few are left, nothing was taken, and there must be no retry. */
  withdraw(now: number, cost: number = RETRY_COST): boolean {
    return this.#take(now, cost, 0);
  }

  /**
   * As `withdraw`, for a retry that a client reports. It cannot take the lower half: otherwise a client that calls each of its
   * requests a retry would use up the retries of all others.
   */
  withdrawForClient(now: number, cost: number = RETRY_COST): boolean {
    return this.#take(now, cost, this.#cap / 2);
  }

  #take(now: number, cost: number, reserve: number): boolean {
    this.#accrue(now);
    const micro = whole(cost * MICRO);
    if (micro + reserve > this.#tokens) return false;
    this.#tokens -= micro;
    return true;
  }

  /** Returns the tokens of a retry that was not made. */
  refund(cost: number = RETRY_COST): void {
    this.#add(whole(cost * MICRO));
  }

  /** Available tokens, 0 to `cap`. */
  tokens(now: number): number {
    this.#accrue(now);
    return this.#tokens / MICRO;
  }

  /** Turns the refill by time on or off; on at first. It is off while the breaker is not closed. */
  trickling(on: boolean, now: number): void {
    if (on === this.#trickling) return;
    this.#accrue(now);
    this.#trickling = on;
    this.#restart(now);
  }

  #accrue(now: number): void {
    if (!this.#trickling) return;
    const earned = whole(Math.max(0, now - this.#since) * this.#perMs);
    this.#add(earned - this.#refilled);
    this.#refilled = earned;
    // A full budget drops the fraction too. Otherwise the bound would be exceeded by it.
    if (this.#tokens === this.#cap) this.#restart(now);
  }

  #restart(now: number): void {
    this.#since = now;
    this.#refilled = 0;
  }

  #add(micro: number): void {
    this.#tokens = Math.min(this.#cap, this.#tokens + micro);
  }
}

function whole(micro: number): number {
  return Math.floor(micro + FLOAT_ERROR);
}
