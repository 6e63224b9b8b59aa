/** Buckets in a window. It moves by one bucket, so it covers between 9/10 and all of `windowMs`. */
const BUCKETS = 10;

/**
 * The outcomes of attempts during the last `windowMs`, in a ring of ten buckets at multiples of `windowMs / 10`. Recording
 * costs the same after a year without calls as after a millisecond.
 */
export class OutcomeWindow {
  readonly #bucketMs: number;
  readonly #attempts = new Uint32Array(BUCKETS);
  readonly #failures = new Uint32Array(BUCKETS);
  readonly #slow = new Uint32Array(BUCKETS);
  /** Number of the newest bucket, counted from time 0. An integer, so that no rounding error accumulates. */
  #newest = 0;
  #total = { attempts: 0, failures: 0, slow: 0 };

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS;
  }

  /** Counts over the window as of the last `roll` or `record`. */
  get total(): { readonly attempts: number; readonly failures: number; readonly slow: number } {
    return this.#total;
  }

  record(now: number, failed: boolean, slow: boolean): void {
    this.roll(now);
    const bucket = this.#newest % BUCKETS;
    const total = this.#total;
    bump(this.#attempts, bucket);
    total.attempts++;
    if (failed) {
      bump(this.#failures, bucket);
      total.failures++;
    }
    if (slow) {
      bump(this.#slow, bucket);
      total.slow++;
    }
  }

  /** Removes a failure that was recorded at `recordedAt`, because it has succeeded since. */
  redeem(recordedAt: number, now: number): void {
    this.roll(now);
    const bucket = Math.floor(recordedAt / this.#bucketMs);
    if (bucket <= this.#newest - BUCKETS || this.#failures[bucket % BUCKETS] === 0) return;
    this.#failures[bucket % BUCKETS] = (this.#failures[bucket % BUCKETS] as number) - 1;
    this.#total.failures--;
  }

  /** Turns a success of this time into a failure. Without one, a failure is added. */
  revoke(now: number): void {
    this.roll(now);
    const bucket = this.#newest % BUCKETS;
    bump(this.#failures, bucket);
    this.#total.failures++;
    if ((this.#failures[bucket] as number) <= (this.#attempts[bucket] as number)) return;
    bump(this.#attempts, bucket);
    this.#total.attempts++;
  }

  /** Drops the buckets that are too old at `now`. */
  roll(now: number): void {
    const newest = Math.floor(now / this.#bucketMs);
    const passed = newest - this.#newest;
    if (passed <= 0) return;
    if (passed >= BUCKETS) this.clear();
    else for (let i = 1; i <= passed; i++) this.#drop((this.#newest + i) % BUCKETS);
    this.#newest = newest;
  }

  clear(): void {
    this.#attempts.fill(0);
    this.#failures.fill(0);
    this.#slow.fill(0);
    this.#total = { attempts: 0, failures: 0, slow: 0 };
  }

  #drop(bucket: number): void {
    this.#total.attempts -= take(this.#attempts, bucket);
    this.#total.failures -= take(this.#failures, bucket);
    this.#total.slow -= take(this.#slow, bucket);
  }
}

function bump(counts: Uint32Array, bucket: number): void {
  counts[bucket] = (counts[bucket] ?? 0) + 1;
}

function take(counts: Uint32Array, bucket: number): number {
  const count = counts[bucket] ?? 0;
  counts[bucket] = 0;
  return count;
}
