import { type EventListener, type EventReader, LineEvent } from './event.ts';
import { LineReader } from './lines.ts';

/** Memory of a line of data in addition to its bytes. Without it, an event of empty lines would have no bound. */
const LINE_BYTES = 32;

const COLON = 58;
const SPACE = 32;
const BRACE = 123;
const BOM = Buffer.from('\uFEFF');
const DATA = Buffer.from('data');
const EVENT = Buffer.from('event');

/**
 * Reads server-sent events (WHATWG HTML §9.2.6). Comments, `id` and `retry` are no events, and neither is an event without data.
 * A JSON object outside of any field is an event without a name, although no client reads it: Gemini reports errors in this form
 * (github.com/vercel/ai/issues/5217).
 */
export class SseReader extends LineReader implements EventReader {
  readonly #maxBytes: number;
  readonly #listener: EventListener;
  #first = true;
  #closed = false;
  #name = '';
  /** The only line of data so far. Its bytes are within the chunk that is being read. */
  #line: Buffer | undefined;
  #from = 0;
  #to = 0;
  #data: string | undefined;
  #bytes = 0;
  #large = false;
  /** The data is a JSON object outside of any field. */
  #bare = false;

  /** `maxBytes`: the largest data that is reported, in bytes. */
  constructor(maxBytes: number, listener: EventListener) {
    super({ maxBytes, ends: 'any' });
    this.#maxBytes = maxBytes;
    this.#listener = listener;
  }

  read(chunk: Uint8Array): boolean {
    if (this.#closed) return true;
    this.readLines(chunk);
    this.#decodeLine();
    return true;
  }

  /** An event without its empty line is incomplete, and is dropped. A bare object has no empty line. */
  end(): void {
    this.endLines();
    if (this.#bare && !this.#closed) this.#dispatch();
    if (!this.#closed) this.#listener.onAllRead();
  }

  close(): void {
    this.#closed = true;
  }

  protected line(bytes: Buffer, start: number, to: number, whole: boolean): void {
    if (this.#closed) return;
    const from = this.#first && startsWith(bytes, start, to, BOM) ? start + BOM.length : start;
    this.#first = false;
    if (from === to && whole) this.#dispatch();
    else this.#field(bytes, from, to, whole);
  }

  #field(bytes: Buffer, from: number, to: number, whole: boolean): void {
    const data = valueOf(bytes, from, to, DATA);
    if (data >= 0) {
      if (this.#bare) this.#clear();
      return this.#addData(bytes, data, to, whole);
    }
    const event = valueOf(bytes, from, to, EVENT);
    if (event >= 0) this.#name = whole ? bytes.toString('utf8', event, to) : '';
    else if (this.#bare || (bytes[from] === BRACE && !this.#hasData)) {
      this.#bare = true;
      this.#addData(bytes, from, to, whole);
    }
  }

  get #hasData(): boolean {
    return this.#line !== undefined || this.#data !== undefined || this.#large;
  }

  /** Most events have one line, and no rule needs its text. */
  #addData(bytes: Buffer, from: number, to: number, whole: boolean): void {
    if (whole && to - from <= this.#maxBytes && !this.#hasData) {
      this.#line = bytes;
      this.#from = from;
      this.#to = to;
      return;
    }
    this.#decodeLine();
    this.#addText(bytes, from, to, whole);
  }

  #decodeLine(): void {
    const line = this.#line;
    if (line === undefined) return;
    this.#line = undefined;
    this.#addText(line, this.#from, this.#to, true);
  }

  #addText(bytes: Buffer, from: number, to: number, whole: boolean): void {
    if (this.#data !== undefined) this.#bytes += LINE_BYTES;
    this.#bytes += to - from;
    this.#large ||= !whole || this.#bytes > this.#maxBytes;
    if (this.#large) {
      this.#data = undefined;
      return;
    }
    const text = bytes.toString('utf8', from, to);
    this.#data = this.#data === undefined ? text : `${this.#data}\n${text}`;
  }

  #dispatch(): void {
    if (!this.#hasData) return this.#clear();
    const name = this.#name === '' || this.#bare ? 'message' : this.#name;
    const line = this.#line;
    const data = this.#data;
    this.#clear();
    const event = line === undefined ? { name, data } : new LineEvent(name, line, this.#from, this.#to);
    this.#listener.onEvent(event);
  }

  #clear(): void {
    this.#name = '';
    this.#line = undefined;
    this.#data = undefined;
    this.#bytes = 0;
    this.#large = false;
    this.#bare = false;
  }
}

function startsWith(bytes: Buffer, from: number, to: number, prefix: Buffer): boolean {
  if (to - from < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[from + i] !== prefix[i]) return false;
  return true;
}

/** Where the value of the field `name` begins; -1 if the line is another field. One space after the colon is not part of it. */
function valueOf(bytes: Buffer, from: number, to: number, name: Buffer): number {
  if (!startsWith(bytes, from, to, name)) return -1;
  const end = from + name.length;
  if (end === to) return to;
  if (bytes[end] !== COLON) return -1;
  return end + 1 < to && bytes[end + 1] === SPACE ? end + 2 : end + 1;
}
