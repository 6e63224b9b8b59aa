import { Median } from './median.ts';
import type { ConcurrencyOptions } from './options.ts';

/** The multiplicative decrease. TCP halves its window; 10 % is enough, because many other callers load the upstream too. */
const DECREASE = 0.9;

/** Signs of overload within this time are one sign, even if replies come faster. */
const TOGETHER_MS = 100;

/** The limit is removed after this time of successes without a sign of overload. */
const RELEASE_MS = 60_000;

/**
 * A smaller share of slow attempts is not overload: some calls always take longer, and overload slows all calls. The share is
 * an average over about 16 attempts.
 */
const OVERLOADED_SHARE = 0.2;
const SHARE_STEP = 1 / 16;

/**
 * The sign that an attempt gives about the upstream's load. `overload`: no head within its time. `failure`: a failed reply, which
 * is a sign of overload only if it was slow (the breaker counts failures). `ignored`: no sign.
 */
export type Evidence = 'success' | 'failure' | 'overload' | 'ignored';

/**
 * Limits the attempts in flight by AIMD (Chiu and Jain 1989, as in TCP). Only signs of overload lower the limit: a limit that
 * falls on every error mistakes random failures for load. Without a sign there is no limit.
 *
 * The first limit is the number in flight when the attempt with the sign left. Later attempts may have hung, so the number at
 * the sign is no measure of the upstream's capacity. A lower limit never takes permits back.
 */
export class ConcurrencyLimit {
  readonly #options: ConcurrencyOptions;
  /** Signs of overload move the limit. */
  readonly #adapts: boolean;
  readonly #median = new Median();
  #limit: number;
  #inFlight = 0;
  /** The share of recent attempts that were a sign of overload, 0 to 1. */
  #overloaded = 0;
  #decreasedAt = -Infinity;
  /** The last decrease was the first from `max` (or from no limit). */
  #isFirst = false;
  #overloadAt = -Infinity;
  /** The upstream has answered since the last decrease. One silence is one sign, however long it lasts. */
  #answered = true;

  constructor(options: ConcurrencyOptions) {
    this.#options = options;
    this.#adapts = options.mode === 'adaptive' || options.mode === 'shadow';
    this.#limit = options.mode === 'off' ? Infinity : options.max;
  }

  /** True: attempts beyond the limit are reported, and sent. */
  get shadow(): boolean {
    return this.#options.mode === 'shadow';
  }

  /** A whole number of attempts; Infinity if there is no limit. */
  get limit(): number {
    return Math.floor(this.#limit);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** True: a permit is taken, which must be released exactly once. */
  tryAcquire(): boolean {
    if (this.#inFlight >= this.limit) return false;
    this.#inFlight++;
    return true;
  }

  /**
   * Takes a permit beyond the limit: in shadow mode, and for a probe of the breaker. Otherwise the end of an outage could stay
   * unnoticed.
   */
  acquireBeyond(): void {
    this.#inFlight++;
  }

  /**
   * For a call that has waited since `since` for as long as it may. Raises the limit by one and takes a permit, unless a sign of
   * overload came meanwhile or `max` is reached. Otherwise long calls would hold a lowered limit down, because it grows only when
   * calls end (TCP's slow start has the same purpose).
   */
  tryExtend(since: number): boolean {
    const { max } = this.#options;
    const grown = Math.min(max, this.#limit + 1);
    // A lowered limit grows by success only, while attempts from before the decrease are in flight.
    if (!this.#adapts || this.#overloadAt >= since || this.#inFlight >= Math.floor(grown)) return false;
    this.#limit = grown;
    return this.tryAcquire();
  }

  /** `latencyMs`: time to the head or to the failure. `amid`: attempts in flight when it left, itself included. */
  release(evidence: Evidence, latencyMs: number, now: number, amid = this.#inFlight): void {
    // The attempt that ends is included. Otherwise a limit of 1 always seems idle and never grows.
    const inFlight = this.#inFlight--;
    if (!this.#adapts || evidence === 'ignored') return;
    const overload = evidence === 'overload' || latencyMs > (this.#options.latencyCeilingMs ?? Infinity);
    this.#overloaded += SHARE_STEP * ((overload ? 1 : 0) - this.#overloaded);
    if (evidence !== 'overload') {
      this.#median.add(latencyMs);
      this.#answered = true;
    }
    if (overload) this.#onOverload(amid, now);
    else if (evidence === 'success') this.#onSuccess(inFlight, now);
  }

  /** The additive increase: one more per `limit` successes, while at least half of the limit is in use. An idle app shows nothing. */
  #onSuccess(inFlight: number, now: number): void {
    const { max } = this.#options;
    if (now - this.#overloadAt >= RELEASE_MS) this.#limit = max;
    else if (inFlight * 2 >= this.#limit) this.#limit = Math.min(max, this.#limit + 1 / this.#limit);
  }

  /**
   * Decreases once per round trip, because attempts in flight at the last decrease cannot show its effect. Only the first decrease
   * uses `amid`, which may be 0 after an outage. It uses the largest `amid` of the attempts that hang at one time.
   */
  #onOverload(amid: number, now: number): void {
    if (this.#overloaded < OVERLOADED_SHARE) return;
    this.#overloadAt = now;
    const { max, min } = this.#options;
    const sinceMs = now - this.#decreasedAt;
    const decreased = Math.max(min, DECREASE * Math.min(max, amid));
    if (sinceMs < TOGETHER_MS) {
      if (this.#isFirst) this.#limit = Math.max(this.#limit, decreased);
    } else if (sinceMs >= this.#median.value && this.#answered) {
      this.#answered = false;
      this.#decreasedAt = now;
      this.#isFirst = this.#limit === max;
      this.#limit = this.#isFirst ? decreased : Math.max(min, DECREASE * this.#limit);
    }
  }
}
