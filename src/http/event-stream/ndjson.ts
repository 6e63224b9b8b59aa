import type { EventListener, EventReader } from './event.ts';
import { LineReader } from './lines.ts';

/** Reads lines of JSON (NDJSON, JSON Lines). Each line that is not blank is an event. */
export class NdjsonReader extends LineReader implements EventReader {
  readonly #listener: EventListener;
  #closed = false;

  /** `maxBytes`: the longest line that is reported, in bytes. */
  constructor(maxBytes: number, listener: EventListener) {
    super({ maxBytes, ends: 'lf' });
    this.#listener = listener;
  }

  read(chunk: Uint8Array): boolean {
    if (!this.#closed) this.readLines(chunk);
    return true;
  }

  end(): void {
    this.endLines();
    if (!this.#closed) this.#listener.onAllRead();
  }

  close(): void {
    this.#closed = true;
  }

  protected line(bytes: Buffer, from: number, to: number, whole: boolean): void {
    const data = whole ? bytes.toString('utf8', from, to) : undefined;
    if (!this.#closed && data?.trim() !== '') this.#listener.onEvent({ name: 'message', data });
  }
}
