/**
 * Detects clients below a minimum rate, because a slow client occupies a connection, and usually a permit of its upstream.
 * The rate is measured per window in which the proxy waits for the client. Two slow windows in a row are required: one can
 * begin with an allowed pause, or end just after a wait began.
 */
export class MinRate {
  readonly #minBytes: number;
  #slowBefore = false;
  #moved: number;

  /** `moved`: bytes so far. `windowMs`: length of a window. */
  constructor(minBytesPerSecond: number, windowMs: number, moved: number) {
    this.#minBytes = (minBytesPerSecond * windowMs) / 1_000;
    this.#moved = moved;
  }

  /** Call it at the end of each window. `awaited`: the proxy waits for the client and for nothing else. */
  tooSlow(moved: number, awaited: boolean): boolean {
    const slow = awaited && moved - this.#moved < this.#minBytes;
    const tooSlow = slow && this.#slowBefore;
    this.#slowBefore = slow;
    this.#moved = moved;
    return tooSlow;
  }
}
