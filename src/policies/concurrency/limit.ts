import { Median } from './median.ts';
import type { ConcurrencyOptions } from './options.ts';

/** TCP halves its window; a tenth less is enough against an upstream that many others load too. */
const DECREASE = 0.9;

/** Attempts that time out together are one piece of evidence, even where replies come faster than this. */
const MIN_DECREASE_INTERVAL_MS = 100;

/**
 * What an attempt said about the upstream's load. `overload`: it timed out. `failure`: answered, but not well, which
 * is no sign of overload unless it was slow (rates of failure are the breaker's business). `ignored`: says nothing.
 */
export type Evidence = 'success' | 'failure' | 'overload' | 'ignored';

/**
 * How many attempts may be under way at once, learned by AIMD (Chiu and Jain 1989, as in TCP) from overload evidence
 * only: a limit that falls on every error mistakes random failures for load.
 * A fall never takes permits back; it only keeps new ones from being given.
 */
export class ConcurrencyLimit {
  readonly #options: ConcurrencyOptions;
  readonly #median = new Median();
  #limit: number;
  #inFlight = 0;
  #decreasedAt = -Infinity;
  #overloadAt = -Infinity;

  constructor(options: ConcurrencyOptions) {
    this.#options = options;
    const { mode, initial, min, max } = options;
    this.#limit = mode === 'adaptive' ? Math.min(max, Math.max(min, initial)) : initial;
  }

  /** Whole attempts; Infinity when off. */
  get limit(): number {
    return this.#options.mode === 'off' ? Infinity : Math.floor(this.#limit);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** True gives a permit, to be released exactly once. */
  tryAcquire(): boolean {
    if (this.#inFlight >= this.limit) return false;
    this.#inFlight++;
    return true;
  }

  /**
   * For a call that has waited since `since` for as long as it could: a permit beyond the limit, which grows by it, unless
   * a sign of overload came meanwhile or `max` is reached. Otherwise calls that take long would keep an idle upstream's
   * limit where it began: it learns from the ends of calls only (TCP's slow start has the same purpose).
   */
  tryExtend(since: number): boolean {
    const { mode, max } = this.#options;
    const grown = Math.min(max, this.#limit + 1);
    // One that has fallen comes back by success alone, while those let in before it fell are still under way.
    if (mode !== 'adaptive' || this.#overloadAt >= since || this.#inFlight >= Math.floor(grown)) return false;
    this.#limit = grown;
    return this.tryAcquire();
  }

  /** `latencyMs` is the time to the head, or to the failure. */
  release(evidence: Evidence, latencyMs: number, now: number): void {
    // Counted with the one that leaves: otherwise a limit of 1 always looks idle and never grows.
    const inFlight = this.#inFlight--;
    if (this.#options.mode !== 'adaptive' || evidence === 'ignored') return;
    if (evidence !== 'overload') this.#median.add(latencyMs);
    if (evidence === 'overload' || latencyMs > (this.#options.latencyCeilingMs ?? Infinity))
      this.#decrease(now);
    else if (evidence === 'success') this.#increase(inFlight);
  }

  /** One more per limit's worth of successes, and only while at least half of it is in use: an idle app proves nothing. */
  #increase(inFlight: number): void {
    if (inFlight * 2 < this.#limit) return;
    this.#limit = Math.min(this.#options.max, this.#limit + 1 / this.#limit);
  }

  /** Once per round trip: what was under way at the last decrease cannot have felt it yet. */
  #decrease(now: number): void {
    this.#overloadAt = now;
    if (now - this.#decreasedAt < Math.max(MIN_DECREASE_INTERVAL_MS, this.#median.value)) return;
    this.#decreasedAt = now;
    this.#limit = Math.max(this.#options.min, this.#limit * DECREASE);
  }
}
