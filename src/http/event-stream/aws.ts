import { EventStreamCodec } from '@smithy/core/event-streams';
import type { EventListener, EventReader, StreamEvent } from './event.ts';
import { asBuffer } from './lines.ts';

const LENGTH_BYTES = 4;

/** The length of a message without headers and payload: two lengths and two checksums. */
const LEAST_BYTES = 16;

/** The largest message of the encoding: a payload of 16 MiB with headers of 128 KiB. A longer one is no message. */
const MOST_BYTES = 16 * 1024 * 1024 + 128 * 1024 + LEAST_BYTES;

const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === 'string' ? bytes : asBuffer(bytes as Uint8Array).toString('utf8')),
  (text) => Buffer.from(text),
);

/** Reads the messages of `application/vnd.amazon.eventstream`. The name of an event is its type, or the type of its exception. */
export class AwsEventReader implements EventReader {
  readonly #maxBytes: number;
  readonly #listener: EventListener;
  readonly #length = Buffer.alloc(LENGTH_BYTES);
  /** Bytes of the current message that have arrived. */
  #filled = 0;
  #message: Buffer | undefined;
  #closed = false;

  /** `maxBytes`: the largest message that is reported with its data. */
  constructor(maxBytes: number, listener: EventListener) {
    this.#maxBytes = maxBytes;
    this.#listener = listener;
  }

  read(chunk: Uint8Array): boolean {
    const bytes = asBuffer(chunk);
    for (let at = 0; at < bytes.length && !this.#closed; ) at += this.#take(bytes, at);
    return true;
  }

  end(): void {
    if (!this.#closed) this.#listener.onAllRead();
  }

  close(): void {
    this.#closed = true;
  }

  /** Takes bytes of one message from `at` on. Returns their number. */
  #take(bytes: Buffer, at: number): number {
    if (this.#filled < LENGTH_BYTES) {
      const taken = bytes.copy(this.#length, this.#filled, at);
      this.#filled += taken;
      if (this.#filled === LENGTH_BYTES) this.#begin();
      return taken;
    }
    const total = this.#length.readUInt32BE();
    const taken = Math.min(bytes.length - at, total - this.#filled);
    if (this.#message !== undefined) bytes.copy(this.#message, this.#filled, at, at + taken);
    this.#filled += taken;
    if (this.#filled === total) this.#complete();
    return taken;
  }

  #begin(): void {
    const total = this.#length.readUInt32BE();
    if (total < LEAST_BYTES || total > MOST_BYTES) return this.#unreadable();
    if (total > this.#maxBytes) return;
    this.#message = Buffer.allocUnsafe(total);
    this.#length.copy(this.#message);
  }

  #complete(): void {
    const message = this.#message;
    this.#message = undefined;
    this.#filled = 0;
    if (message === undefined) return this.#listener.onEvent({ name: 'message', data: undefined });
    const event = eventIn(message);
    if (event === undefined) this.#unreadable();
    else this.#listener.onEvent(event);
  }

  #unreadable(): void {
    this.#closed = true;
    this.#listener.onUnreadable();
  }
}

/** Undefined if a checksum is wrong, or a header cannot be read. */
function eventIn(message: Buffer): StreamEvent | undefined {
  try {
    const { headers, body } = codec.decode(message);
    const type = headers[':event-type'] ?? headers[':exception-type'] ?? headers[':error-code'];
    const name = type?.type === 'string' ? type.value : 'message';
    return { name, data: asBuffer(body).toString('utf8') };
  } catch {
    return undefined;
  }
}
