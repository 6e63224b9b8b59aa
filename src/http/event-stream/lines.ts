const LF = 10;
const CR = 13;

/** The first memory for a line that is cut by chunks. It doubles as the line grows. */
const FIRST_BYTES = 256;

export interface LineOptions {
  /** Of a longer line, only this many bytes are held. */
  readonly maxBytes: number;
  /** `any`: CR, LF or CRLF end a line. */
  readonly ends: 'any' | 'lf';
}

/** Cuts bytes into lines. A line within one chunk is not copied. */
export abstract class LineReader {
  readonly #maxBytes: number;
  readonly #crEnds: boolean;
  /** The beginning of a line whose end has not arrived. */
  #part: Buffer | undefined;
  #filled = 0;
  #whole = true;
  /** The last byte was a CR, so a LF that follows belongs to it. */
  #afterCr = false;

  constructor({ maxBytes, ends }: LineOptions) {
    this.#maxBytes = maxBytes;
    this.#crEnds = ends === 'any';
  }

  /** Receives one line: the bytes from `from` to `to`, without its end. `whole`: false if the rest of it was dropped. */
  protected abstract line(bytes: Buffer, from: number, to: number, whole: boolean): void;

  protected readLines(chunk: Uint8Array): void {
    const bytes = asBuffer(chunk);
    let from = this.#afterCr && bytes[0] === LF ? 1 : 0;
    if (bytes.length > 0) this.#afterCr = false;
    let lf = indexOf(bytes, LF, from);
    let cr = this.#nextCr(bytes, from);
    while (lf !== Infinity || cr !== Infinity) {
      const end = Math.min(lf, cr);
      this.#line(bytes, from, end);
      from = end + 1;
      if (end === cr) {
        if (from === bytes.length) this.#afterCr = true;
        else if (bytes[from] === LF) from++;
        cr = this.#nextCr(bytes, from);
      }
      if (lf < from) lf = indexOf(bytes, LF, from);
    }
    this.#hold(bytes, from, bytes.length);
  }

  #nextCr(bytes: Buffer, from: number): number {
    return this.#crEnds ? indexOf(bytes, CR, from) : Infinity;
  }

  /** Reports a last line that has no end. */
  protected endLines(): void {
    if (this.#filled > 0) this.#line(EMPTY, 0, 0);
  }

  #line(bytes: Buffer, from: number, to: number): void {
    if (this.#filled === 0 && to - from <= this.#maxBytes) return this.line(bytes, from, to, true);
    this.#hold(bytes, from, to);
    const line = this.#part ?? EMPTY;
    const filled = this.#filled;
    const whole = this.#whole;
    this.#part = undefined;
    this.#filled = 0;
    this.#whole = true;
    this.line(line, 0, filled, whole);
  }

  #hold(bytes: Buffer, from: number, to: number): void {
    if (from >= to) return;
    const maxBytes = this.#maxBytes;
    const filled = Math.min(maxBytes, this.#filled + to - from);
    if (filled < this.#filled + to - from) this.#whole = false;
    let part = this.#part;
    if (part === undefined || part.length < filled) {
      const grown = Buffer.allocUnsafe(Math.min(maxBytes, Math.max(FIRST_BYTES, 2 * filled)));
      part?.copy(grown, 0, 0, this.#filled);
      this.#part = part = grown;
    }
    bytes.copy(part, this.#filled, from, from + filled - this.#filled);
    this.#filled = filled;
  }
}

const EMPTY = Buffer.alloc(0);

export const asBuffer = (chunk: Uint8Array): Buffer =>
  Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);

/** Most searches are for the next line of an event, which is empty, or beyond the last one. These need no call. */
function indexOf(bytes: Buffer, byte: number, from: number): number {
  if (bytes[from] === byte) return from;
  const found = from < bytes.length ? bytes.indexOf(byte, from) : -1;
  return found < 0 ? Infinity : found;
}
