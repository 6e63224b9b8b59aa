import type { EventListener, EventReader } from './event.ts';
import { LineReader } from './lines.ts';

const COLON = 58;
const SPACE = 32;
const BOM = Buffer.from('\uFEFF');
const DATA = Buffer.from('data');
const EVENT = Buffer.from('event');

/** Reads server-sent events (WHATWG HTML §9.2.6). Comments, `id` and `retry` are no events, and neither is an event without data. */
export class SseReader implements EventReader {
  readonly #maxBytes: number;
  readonly #listener: EventListener;
  readonly #lines: LineReader;
  #first = true;
  #closed = false;
  #name = '';
  #data: string | undefined;
  #bytes = 0;
  #large = false;

  /** `maxBytes`: the largest data that is reported, in bytes. */
  constructor(maxBytes: number, listener: EventListener) {
    this.#maxBytes = maxBytes;
    this.#listener = listener;
    this.#lines = new LineReader({ maxBytes, ends: 'any' }, (...line) => this.#line(...line));
  }

  read(chunk: Uint8Array): boolean {
    if (!this.#closed) this.#lines.read(chunk);
    return true;
  }

  /** An event without its empty line is incomplete, and is dropped. */
  end(): void {
    if (!this.#closed) this.#listener.onEnd();
  }

  close(): void {
    this.#closed = true;
  }

  #line(bytes: Buffer, start: number, to: number, whole: boolean): void {
    if (this.#closed) return;
    const from = this.#first && startsWith(bytes, start, to, BOM) ? start + BOM.length : start;
    this.#first = false;
    if (from === to && whole) return this.#dispatch();
    const data = valueOf(bytes, from, to, DATA);
    if (data >= 0) return this.#addData(bytes, data, to, whole);
    const event = valueOf(bytes, from, to, EVENT);
    if (event >= 0) this.#name = whole ? bytes.toString('utf8', event, to) : '';
  }

  #addData(bytes: Buffer, from: number, to: number, whole: boolean): void {
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
    const name = this.#name === '' ? 'message' : this.#name;
    const data = this.#data;
    const found = data !== undefined || this.#large;
    this.#name = '';
    this.#data = undefined;
    this.#bytes = 0;
    this.#large = false;
    if (found) this.#listener.onEvent({ name, data });
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
