import type { EventListener, EventReader } from './event.ts';
import { LineReader } from './lines.ts';

/** Reads lines of JSON (NDJSON, JSON Lines). Each line that is not blank is an event. */
export class NdjsonReader implements EventReader {
  readonly #listener: EventListener;
  readonly #lines: LineReader;
  #closed = false;

  /** `maxBytes`: the longest line that is reported, in bytes. */
  constructor(maxBytes: number, listener: EventListener) {
    this.#listener = listener;
    this.#lines = new LineReader({ maxBytes, ends: 'lf' }, (bytes, from, to, whole) => {
      const data = whole ? bytes.toString('utf8', from, to) : undefined;
      if (!this.#closed && data?.trim() !== '') listener.onEvent({ name: 'message', data });
    });
  }

  read(chunk: Uint8Array): boolean {
    if (!this.#closed) this.#lines.read(chunk);
    return true;
  }

  end(): void {
    this.#lines.end();
    if (!this.#closed) this.#listener.onEnd();
  }

  close(): void {
    this.#closed = true;
  }
}
