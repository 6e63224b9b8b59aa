/** Readings count for this long, twice at most. Clocks drift apart by less than a millisecond in that time. */
const FRESH_MS = 5_000;

/** The engine's time less this process's, which lies between the two. */
interface Bounds {
  readonly low: number;
  readonly high: number;
}

const UNKNOWN: Bounds = { low: -Infinity, high: Infinity };

/**
 * Translates the engine's time into this process's. Each reply bounds the difference by its round trip; together the latest ones
 * bound it better than a slow one alone (as NTP does, RFC 5905).
 */
export class EngineClock {
  #current = UNKNOWN;
  #before = UNKNOWN;
  #since = -Infinity;

  /** A request was sent at `sentAt`, and its reply, made at `engineNow`, was read at `now`. */
  hear(engineNow: number, sentAt: number, now: number): void {
    const heard = { low: engineNow - now, high: engineNow - sentAt };
    if (now - this.#since > FRESH_MS) {
      this.#before = now - this.#since > 2 * FRESH_MS ? UNKNOWN : this.#current;
      [this.#current, this.#since] = [heard, now];
    }
    this.#current = both(this.#current, heard) ?? heard;
    // The engine's clock was set, or this is another engine.
    if (both(this.#before, this.#current) === undefined) this.#before = UNKNOWN;
  }

  /** The earliest moment of this process that can be `engineTime`. */
  earliest(engineTime: number): number {
    return engineTime - Math.min(this.#current.high, this.#before.high);
  }

  /** The latest such moment. */
  latest(engineTime: number): number {
    return engineTime - Math.max(this.#current.low, this.#before.low);
  }
}

function both(one: Bounds, two: Bounds): Bounds | undefined {
  const bounds = { low: Math.max(one.low, two.low), high: Math.min(one.high, two.high) };
  return bounds.low > bounds.high ? undefined : bounds;
}
