/**
 * When a client is too slow. It holds a connection, and mostly a permit of its upstream, for as long as its call lasts. So it
 * must move a minimum of bytes in each window in which the proxy waits for it, and not only one byte. One slow window is no
 * proof: it may have begun with a pause that is allowed, or have ended just after a wait began.
 */
export class MinRate {
  readonly #minBytes: number;
  #slowBefore = false;
  #moved: number;

  /** `moved`: bytes so far. A window is `windowMs` long. */
  constructor(minBytesPerSecond: number, windowMs: number, moved: number) {
    this.#minBytes = (minBytesPerSecond * windowMs) / 1_000;
    this.#moved = moved;
  }

  /** At the end of a window. `awaited`: the proxy waits for this client, and for nothing else. */
  tooSlow(moved: number, awaited: boolean): boolean {
    const slow = awaited && moved - this.#moved < this.#minBytes;
    const tooSlow = slow && this.#slowBefore;
    this.#slowBefore = slow;
    this.#moved = moved;
    return tooSlow;
  }
}
