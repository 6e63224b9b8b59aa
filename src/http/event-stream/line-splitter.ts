const LF = 10;
const CR = 13;

/** A line that continues in the next chunk is copied. Its first copy has this size. */
const FIRST_COPY_BYTES = 256;

/** Called with a line, without its break. The bytes are valid during the call only. `cut`: the rest exceeded the bound. */
export type OnLine = (line: Buffer, cut: boolean) => void;

/**
 * Splits bytes into lines that end with CR, LF or CRLF (WHATWG HTML §9.2.5), however they are cut into chunks. It retains at
 * most `maxBytes` of a line.
 */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #onLine: OnLine;
  /** The start of a line that is not complete. */
  #held: Buffer = Buffer.alloc(0);
  #filled = 0;
  #cut = false;
  /** The byte before was CR. If LF follows, it belongs to the same break. */
  #afterCr = false;

  constructor(maxBytes: number, onLine: OnLine) {
    this.#maxBytes = maxBytes;
    this.#onLine = onLine;
  }

  write(chunk: Uint8Array): void {
    const bytes = asBuffer(chunk);
    const breaks = new Breaks(bytes);
    let from = 0;
    for (let end = breaks.from(0); end < bytes.length; end = breaks.from(from)) {
      const sameBreak = this.#afterCr && end === from && bytes[end] === LF;
      if (!sameBreak) this.#line(bytes, from, end);
      this.#afterCr = bytes[end] === CR;
      from = end + 1;
    }
    if (from === bytes.length) return;
    this.#afterCr = false;
    this.#hold(bytes, from, bytes.length);
  }

  /** Passes on a last line without a break. */
  end(): void {
    if (this.#filled > 0 || this.#cut) this.#flush();
  }

  #line(bytes: Buffer, from: number, end: number): void {
    if (this.#filled === 0 && !this.#cut && end - from <= this.#maxBytes)
      return this.#onLine(bytes.subarray(from, end), false);
    this.#hold(bytes, from, end);
    this.#flush();
  }

  #flush(): void {
    const [filled, cut] = [this.#filled, this.#cut];
    [this.#filled, this.#cut] = [0, false];
    this.#onLine(this.#held.subarray(0, filled), cut);
    // A long line must not occupy its memory for the rest of the stream.
    if (this.#held.length > FIRST_COPY_BYTES) this.#held = Buffer.alloc(0);
  }

  #hold(bytes: Buffer, from: number, end: number): void {
    const room = this.#maxBytes - this.#filled;
    if (end - from > room) this.#cut = true;
    const take = Math.min(end - from, room);
    if (take === 0) return;
    this.#grow(this.#filled + take);
    bytes.copy(this.#held, this.#filled, from, from + take);
    this.#filled += take;
  }

  #grow(bytes: number): void {
    if (bytes <= this.#held.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(bytes, FIRST_COPY_BYTES, 2 * this.#held.length));
    this.#held.copy(grown, 0, 0, this.#filled);
    this.#held = grown;
  }
}

/** Finds the breaks of a chunk, from left to right. Each byte is read once for CR and once for LF. */
class Breaks {
  readonly #bytes: Buffer;
  #cr = -1;
  #lf = -1;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The first CR or LF at `at` or later; the length of the chunk if there is none. */
  from(at: number): number {
    if (this.#cr < at) this.#cr = this.#find(CR, at);
    if (this.#lf < at) this.#lf = this.#find(LF, at);
    return Math.min(this.#cr, this.#lf);
  }

  #find(byte: number, at: number): number {
    const found = this.#bytes.indexOf(byte, at);
    return found < 0 ? this.#bytes.length : found;
  }
}

function asBuffer(chunk: Uint8Array): Buffer {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
}
