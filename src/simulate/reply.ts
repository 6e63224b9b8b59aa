import type { RawHeaders } from '../http/headers.ts';
import type { BodyEnd, BodySink, Reply, ReplyBody } from '../http/reply.ts';

const BYTES = new Uint8Array([0x6f, 0x6b]);

/** A reply whose two bytes are all here. */
export function simulatedReply(status: number, headers: RawHeaders = []): Reply {
  return { status, statusText: '', headers: ['Content-Length', '2', ...headers], body: new ShortBody() };
}

class ShortBody implements ReplyBody {
  #end: BodyEnd | undefined;
  readonly #listeners: Array<(end: BodyEnd) => void> = [];

  pipeTo(sink: BodySink): void {
    sink.write(BYTES);
    this.#finish('complete');
    sink.end();
  }

  discard(): void {
    this.#finish('discarded');
  }

  onEnd(listener: (end: BodyEnd) => void): void {
    if (this.#end === undefined) this.#listeners.push(listener);
    else listener(this.#end);
  }

  #finish(end: BodyEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    for (const listener of this.#listeners) listener(end);
  }
}

/** A client that reads what it gets and keeps nothing. */
export const SINK: BodySink = {
  destroyed: false,
  write: () => true,
  end: () => {},
  destroy: () => {},
  on: () => {},
};
