import { AHEAD_MS, type LeaseReply } from './ledger.ts';

/** In this time, a busy replica has heard of the longest lead: its own units last for `AHEAD_MS` and some more. */
const KEPT_MS = 3 * AHEAD_MS;

/** After a share, the lead may be this much longer than it was, and grow by this part of the time that passes. */
const GROWTH_MS = 50;
const GROWTH_RATE = 0.25;

interface Reading {
  readonly ms: number;
  readonly at: number;
}

const NONE: Reading = { ms: 0, at: -Infinity };

/**
 * How far ahead of time the engine gives units to all replicas together: milliseconds from its time to the theoretical arrival time, 0 to
 * `AHEAD_MS`. A unit that is used at once competes with those that were given so long ago. Pure: `now` is real milliseconds of this process.
 */
export class Lead {
  #last = NONE;
  #longest = NONE;
  /** When units came from a share, for the last time. */
  #shared = NONE;

  /** The engine has replied. `at`: when, at the latest. */
  hear({ ledger, now: engineNow }: LeaseReply, at: number): void {
    this.#last = { ms: ledger.tat - engineNow, at };
    if (this.#last.ms >= this.#longest.ms || at - this.#longest.at > KEPT_MS) this.#longest = this.#last;
  }

  /** As it was heard last. Old news says less and less. */
  last(now: number): number {
    return decayed(this.#last, AHEAD_MS, now);
  }

  /** The longest one that was heard lately. Others may have leased since the last news. */
  longest(now: number): number {
    return decayed(this.#longest, KEPT_MS, now);
  }

  /** Units come from a share now. */
  share(now: number): void {
    this.#shared = { ms: this.last(now), at: now };
  }

  /**
   * How far ahead units may be leased, in milliseconds; Infinity: as far as the engine gives them. After a share it grows slowly: others may
   * still use theirs at once, and units that are suddenly given far ahead would be used together with those.
   */
  most(now: number): number {
    const most = this.#shared.ms + GROWTH_MS + GROWTH_RATE * (now - this.#shared.at);
    return most < AHEAD_MS ? most : Infinity;
  }
}

const decayed = ({ ms, at }: Reading, keptMs: number, now: number): number =>
  Math.max(0, Math.min(AHEAD_MS, ms) - Math.max(0, now - at - keptMs));
