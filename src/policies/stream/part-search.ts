/** A length is an item of the table of shifts. */
const MAX_SHIFT = 255;

/**
 * Finds out whether bytes contain one of several parts. It looks at the last byte of a window as long as the shortest part, and most
 * bytes move the window by its whole length (Horspool 1980). So it reads few of the bytes, and needs no text of them.
 */
export class PartSearch {
  readonly #parts: readonly Buffer[];
  readonly #window: number;
  /** How far the window may move for its last byte. 0: a part may begin with the window. */
  readonly #shifts: Uint8Array;

  /** No part may be empty. */
  constructor(parts: readonly string[]) {
    this.#parts = parts.map((part) => Buffer.from(part));
    this.#window = Math.min(MAX_SHIFT, ...this.#parts.map(({ length }) => length));
    this.#shifts = new Uint8Array(256).fill(this.#window);
    for (const part of this.#parts) this.#addShifts(part);
  }

  isIn(bytes: Uint8Array, from: number, to: number): boolean {
    if (this.#parts.length === 0) return false;
    const shifts = this.#shifts;
    const last = this.#window - 1;
    for (let at = from + last; at < to; ) {
      const shift = shifts[bytes[at] as number] as number;
      if (shift === 0 && this.#beginsAt(bytes, at - last, to)) return true;
      at += shift === 0 ? 1 : shift;
    }
    return false;
  }

  #addShifts(part: Buffer): void {
    for (let i = 0; i < this.#window; i++) {
      const byte = part[i] as number;
      this.#shifts[byte] = Math.min(this.#shifts[byte] as number, this.#window - 1 - i);
    }
  }

  #beginsAt(bytes: Uint8Array, from: number, to: number): boolean {
    for (const part of this.#parts) if (beginsWith(part, bytes, from, to)) return true;
    return false;
  }
}

function beginsWith(part: Buffer, bytes: Uint8Array, from: number, to: number): boolean {
  if (from + part.length > to) return false;
  for (let i = 0; i < part.length; i++) if (bytes[from + i] !== part[i]) return false;
  return true;
}
