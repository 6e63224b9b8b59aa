/** One event of a stream. */
export interface StreamEvent {
  /** `message` if the event has no name (WHATWG HTML §9.2.6), and for a line of NDJSON. */
  readonly name: string;
  /** Undefined if it is larger than the reader's bound. */
  readonly data: string | undefined;
}

/** An event with one line of data, of which no text has been made. Its bytes are valid until `onEvent` returns. */
export class LineEvent implements StreamEvent {
  readonly name: string;
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;

  /** The data is in `bytes` from `from` to `to`. */
  constructor(name: string, bytes: Buffer, from: number, to: number) {
    this.name = name;
    this.bytes = bytes;
    this.from = from;
    this.to = to;
  }

  get data(): string {
    return this.bytes.toString('utf8', this.from, this.to);
  }
}

/** The receiver of what a reader finds. */
export interface EventListener {
  onEvent(event: StreamEvent): void;
  /** All bytes have been read. */
  onAllRead(): void;
  /** The bytes are not what the headers say. No other method is called after this. */
  onUnreadable(): void;
  /** Call for more after `read` has returned false. */
  onReady(): void;
}

/**
 * Reads the events of a stream from its bytes, which may be cut anywhere. Memory is bounded: an event beyond the bound is reported
 * without its data.
 */
export interface EventReader {
  /** False: wait for `onReady` before the next chunk. */
  read(chunk: Uint8Array): boolean;
  /** Call after the last chunk. `onAllRead` follows, at once or later. */
  end(): void;
  /** Frees what the reader holds. Nothing is reported after this. */
  close(): void;
}
