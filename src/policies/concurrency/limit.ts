import { Median } from './median.ts';
import type { ConcurrencyOptions } from './options.ts';

/** TCP halves its window; a tenth less is enough against an upstream that many others load too. */
const DECREASE = 0.9;

/** Attempts that hang together are one piece of evidence, even where replies come faster than this. */
const TOGETHER_MS = 100;

/** The limit is lifted when attempts have succeeded for so long without a sign of overload. */
const RELEASE_MS = 60_000;

/**
 * A share of slow attempts below this is not overload: some calls take longer than most. Overload slows down all. The
 * share follows the last dozen or so of attempts.
 */
const OVERLOADED_SHARE = 0.2;
const SHARE_STEP = 1 / 16;

/**
 * What an attempt said about the upstream's load. `overload`: no head came within its time. `failure`: answered, but not
 * well, which is no sign of overload unless it was slow (rates of failure are the breaker's business). `ignored`: says nothing.
 */
export type Evidence = 'success' | 'failure' | 'overload' | 'ignored';

/**
 * How many attempts may be under way at once, learned by AIMD (Chiu and Jain 1989, as in TCP) from overload evidence
 * only: a limit that falls on every error mistakes random failures for load. Without evidence there is no limit. It begins at
 * what was in flight when the attempt left that gives the evidence: until the evidence comes, what hangs piles up, and that
 * pile is no measure of what the upstream can do. A fall never takes permits back; it only keeps new ones from being given.
 */
export class ConcurrencyLimit {
  readonly #options: ConcurrencyOptions;
  readonly #median = new Median();
  #limit: number;
  #inFlight = 0;
  /** Share of the recent attempts that were a sign of overload. */
  #overloaded = 0;
  #fellAt = -Infinity;
  /** The last fall was the first since there was no limit, or since it was at `max`. */
  #isFirst = false;
  #overloadAt = -Infinity;
  /** The upstream has answered since the last fall. Silence alone is one piece of evidence, however long it lasts. */
  #heard = true;

  constructor(options: ConcurrencyOptions) {
    this.#options = options;
    this.#limit = options.mode === 'off' ? Infinity : options.max;
  }

  /** Whole attempts; Infinity while nothing limits. */
  get limit(): number {
    return Math.floor(this.#limit);
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

  /** A permit beyond the limit, for a probe: without it, nobody would learn that the upstream is back. */
  acquireReserved(): void {
    this.#inFlight++;
  }

  /**
   * For a call that has waited since `since` for as long as it could: a permit beyond the limit, which grows by it, unless
   * a sign of overload came meanwhile or `max` is reached. Otherwise calls that take long would keep the limit where it
   * fell to: it learns from the ends of calls only (TCP's slow start has the same purpose).
   */
  tryExtend(since: number): boolean {
    const { mode, max } = this.#options;
    const grown = Math.min(max, this.#limit + 1);
    // One that has fallen comes back by success alone, while those let in before it fell are still under way.
    if (mode !== 'adaptive' || this.#overloadAt >= since || this.#inFlight >= Math.floor(grown)) return false;
    this.#limit = grown;
    return this.tryAcquire();
  }

  /** `latencyMs` is the time to the head, or to the failure. `amid` attempts were under way when it left, itself included. */
  release(evidence: Evidence, latencyMs: number, now: number, amid = this.#inFlight): void {
    // Counted with the one that leaves: otherwise a limit of 1 always looks idle and never grows.
    const inFlight = this.#inFlight--;
    if (this.#options.mode !== 'adaptive' || evidence === 'ignored') return;
    const overload = evidence === 'overload' || latencyMs > (this.#options.latencyCeilingMs ?? Infinity);
    this.#overloaded += SHARE_STEP * ((overload ? 1 : 0) - this.#overloaded);
    if (evidence !== 'overload') {
      this.#median.add(latencyMs);
      this.#heard = true;
    }
    if (overload) this.#onOverload(amid, now);
    else if (evidence === 'success') this.#onSuccess(inFlight, now);
  }

  /** One more per limit's worth of successes, and only while at least half of it is in use: an idle app proves nothing. */
  #onSuccess(inFlight: number, now: number): void {
    const { max } = this.#options;
    if (now - this.#overloadAt >= RELEASE_MS) this.#limit = max;
    else if (inFlight * 2 >= this.#limit) this.#limit = Math.min(max, this.#limit + 1 / this.#limit);
  }

  /**
   * Once per round trip: what was under way at the last fall cannot have felt it yet. Only the first fall looks at `amid`,
   * which may be nothing after an outage. It takes the largest of the attempts that hang together.
   */
  #onOverload(amid: number, now: number): void {
    if (this.#overloaded < OVERLOADED_SHARE) return;
    this.#overloadAt = now;
    const { max, min } = this.#options;
    const sinceMs = now - this.#fellAt;
    const fallen = Math.max(min, DECREASE * Math.min(max, amid));
    if (sinceMs < TOGETHER_MS) {
      if (this.#isFirst) this.#limit = Math.max(this.#limit, fallen);
    } else if (sinceMs >= this.#median.value && this.#heard) {
      this.#heard = false;
      this.#fellAt = now;
      this.#isFirst = this.#limit === max;
      this.#limit = this.#isFirst ? fallen : Math.max(min, DECREASE * this.#limit);
    }
  }
}
