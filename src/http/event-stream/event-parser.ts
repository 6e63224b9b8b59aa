import { headerOf, type RawHeaders } from '../headers.ts';
import { LineSplitter } from './line-splitter.ts';

/** One event of a stream. */
export interface StreamEvent {
  /** The name of a server-sent event; `message` if it has none. */
  readonly name: string;
  /** Undefined if the event exceeds the bound. */
  readonly data: string | undefined;
}

/** Reads the events of a stream from its bytes, in chunks of any size. It never throws. */
export interface EventParser {
  write(chunk: Uint8Array): void;
  /** The stream has ended. */
  end(): void;
}

/** How a stream separates its events: server-sent events, or one JSON value per line. */
export type EventFormat = 'sse' | 'ndjson';

const FORMATS: ReadonlyMap<string, EventFormat> = new Map<string, EventFormat>([
  ['text/event-stream', 'sse'],
  ['application/x-ndjson', 'ndjson'],
  ['application/ndjson', 'ndjson'],
  ['application/jsonl', 'ndjson'],
  ['application/x-jsonlines', 'ndjson'],
]);

/** The format of the events of a reply; undefined if its body is no stream of events. */
export function eventFormatOf(headers: RawHeaders): EventFormat | undefined {
  const type = headerOf(headers, 'content-type')?.split(';', 1)[0];
  return type === undefined ? undefined : FORMATS.get(type.trim().toLowerCase());
}

/** `maxBytes`: the most bytes of one event that are buffered. The data of a larger event is not passed on. */
export function eventParser(
  format: EventFormat,
  maxBytes: number,
  onEvent: (event: StreamEvent) => void,
): EventParser {
  if (format === 'sse') return new SseParser(maxBytes, onEvent);
  return new LineSplitter(maxBytes, (line, cut) => {
    if (line.length > 0) onEvent({ name: 'message', data: cut ? undefined : line.toString() });
  });
}

const COLON = 58;
const SPACE = 32;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/** Server-sent events (WHATWG HTML §9.2.6). Comments, `id` and `retry` are skipped, and so is an event without data. */
class SseParser implements EventParser {
  readonly #maxBytes: number;
  readonly #onEvent: (event: StreamEvent) => void;
  readonly #lines: LineSplitter;
  #atStart = true;
  #name = '';
  #data: string | undefined;
  #bytes = 0;

  constructor(maxBytes: number, onEvent: (event: StreamEvent) => void) {
    this.#maxBytes = maxBytes;
    this.#onEvent = onEvent;
    this.#lines = new LineSplitter(maxBytes, (line, cut) => this.#line(this.#withoutBom(line), cut));
  }

  write(chunk: Uint8Array): void {
    this.#lines.write(chunk);
  }

  /** An event without a blank line after it is incomplete and does not count. */
  end(): void {}

  #withoutBom(line: Buffer): Buffer {
    if (!this.#atStart) return line;
    this.#atStart = false;
    return line.subarray(0, BOM.length).equals(BOM) ? line.subarray(BOM.length) : line;
  }

  #line(line: Buffer, cut: boolean): void {
    if (line.length === 0) return this.#dispatch();
    const colon = line.indexOf(COLON);
    const end = colon < 0 ? line.length : colon;
    const from = line[end + 1] === SPACE ? end + 2 : end + 1;
    const field = line.toString('latin1', 0, end);
    if (field === 'event') this.#name = line.toString('utf8', from);
    else if (field === 'data') this.#add(line, from, cut);
  }

  #add(line: Buffer, from: number, cut: boolean): void {
    this.#bytes += line.length;
    if (cut) this.#bytes = Infinity;
    if (this.#bytes > this.#maxBytes) {
      this.#data = '';
      return;
    }
    const text = line.toString('utf8', from);
    this.#data = this.#data === undefined ? text : `${this.#data}\n${text}`;
  }

  #dispatch(): void {
    const [name, data, bytes] = [this.#name, this.#data, this.#bytes];
    [this.#name, this.#data, this.#bytes] = ['', undefined, 0];
    if (data !== undefined)
      this.#onEvent({ name: name || 'message', data: bytes > this.#maxBytes ? undefined : data });
  }
}
