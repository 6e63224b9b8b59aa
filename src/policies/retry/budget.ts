import type { BudgetOptions } from './options.ts';

/** What a retry costs, in tokens. */
export const RETRY_COST = 1;

/**
 * What a retry costs that waits as long as the upstream asked for: half, because such a retry comes at a time that the
 * upstream chose and is the least likely to add to an overload.
 */
export const ASKED_RETRY_COST = 0.5;

/** Tokens are counted in whole millionths, so that ten successes at 0.6 buy exactly 6. */
const MICRO = 1_000_000;

/** A product that falls short of a whole number by less than this is that number: 1.001 · 1e6 is 1000999.9999999999. */
const FLOAT_ERROR = 1e-3;

/**
 * Keeps retries a fraction of what succeeds, so that an outage is never amplified: over every window of `t` seconds,
 * attempts ≤ requests + cap + ratio · successes + refillPerSecond · t, where a retry that the upstream asked for counts
 * half and an attempt of which nothing was sent not at all. Paid for by success and not by request, because a budget that
 * requests fill is full exactly when everything fails. By default `ratio` is 1: a call whose attempts fail with probability p
 * needs p + p² retries and brings 1 − p³ successes, so that 1 pays for all of them up to p = 0.54. Starts full. A window in which tokens withdrawn before
 * it are refunded may see that many more retries: they take the place of those that were not made.
 */
export class RetryBudget {
  readonly #cap: number;
  readonly #perSuccess: number;
  readonly #perMs: number;
  #tokens: number;
  #trickling = true;
  /** Since when time is counted, and what it has brought since: one product per stretch, so that no fraction is lost or made. */
  #since = 0;
  #refilled = 0;

  constructor({ cap, ratio, refillPerSecond }: BudgetOptions) {
    this.#cap = whole(cap * MICRO);
    this.#perSuccess = whole(ratio * MICRO);
    // Finite, because no time at an infinite rate would be NaN tokens, and NaN refuses nothing.
    this.#perMs = Math.min(Number.MAX_SAFE_INTEGER, (refillPerSecond * MICRO) / 1000);
    this.#tokens = this.#cap;
  }

  /** Call once for each attempt that succeeded. */
  deposit(): void {
    this.#add(this.#perSuccess);
  }

  /** Takes `cost` tokens, or nothing and says false: then do not retry. */
  withdraw(now: number, cost: number = RETRY_COST): boolean {
    return this.#take(now, cost, 0);
  }

  /**
   * The same for what a client says that it has done. The lower half is not for it: a client that calls each request a retry
   * would otherwise take the retries of all others.
   */
  withdrawForClient(now: number, cost: number = RETRY_COST): boolean {
    return this.#take(now, cost, this.#cap / 2);
  }

  #take(now: number, cost: number, keep: number): boolean {
    this.#accrue(now);
    const micro = whole(cost * MICRO);
    if (micro + keep > this.#tokens) return false;
    this.#tokens -= micro;
    return true;
  }

  /** Gives back a withdrawal whose retry was not made. */
  refund(cost: number = RETRY_COST): void {
    this.#add(whole(cost * MICRO));
  }

  /** Tokens at hand, 0 to `cap`. */
  tokens(now: number): number {
    this.#accrue(now);
    return this.#tokens / MICRO;
  }

  /** Turns the earning by time on or off; it is on at first. Off while the breaker is not closed. */
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
    // A full bucket keeps no fraction either, or the guarantee would be off by it.
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
