import type { ByteBudget } from '../byte-budget.ts';
import { Reader, type ReadLog } from './body-reader.ts';
import { BodyBuffer, type ReadPosition } from './body-buffer.ts';
import {
  type BodySource,
  type RequestBody,
  RequestBodyBroken,
  RequestBodyNotBuffered,
} from './request-body.ts';

/** The side of node:http's IncomingMessage that a body is read from. */
export interface BodyStream {
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'end' | 'close', listener: () => void): unknown;
  pause(): unknown;
  resume(): unknown;
}

export interface ReplayOptions {
  readonly declaredBytes: number | undefined;
  /** 0: the route never sends a body twice, so nothing is kept. */
  readonly maxBytes: number;
  readonly memory: ByteBudget;
  readonly now: () => number;
  readonly onNotBuffered: (reason: 'cap' | 'memory') => void;
}

/** The client is held back when this much has arrived that no attempt has read. */
const MAX_AHEAD_BYTES = 256 * 1024;

/** The same while the budget of all bodies is spent. */
const LEAST_AHEAD_BYTES = 16 * 1024;

/**
 * A body kept while it streams: one writer (the client), readers with offsets of their own (the attempts).
 * Over the cap, or when the process-wide budget is used up, it stops keeping: the running attempt goes on,
 * bytes it has read are dropped, and no other attempt can start.
 */
export class StreamedBody implements RequestBody, ReadLog {
  readonly #stream: BodyStream;
  readonly #options: ReplayOptions;
  readonly #readers = new Set<Reader>();
  readonly #log: BodyBuffer;
  /** All of it was handed out, and is not kept. */
  #gone = false;
  #keeping: boolean;
  #disposed = false;
  /** Bytes that some reader has taken. */
  #furthest = 0;
  #end: 'open' | 'complete' | 'broken' = 'open';
  #onSettled: (() => void) | undefined;
  #onWhole: ((chunks: readonly Buffer[] | undefined) => void) | undefined;
  #arrivedAt: number;

  constructor(stream: BodyStream, options: ReplayOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#log = new BodyBuffer(options.memory);
    this.#arrivedAt = options.now();
    this.#keeping = options.maxBytes > 0;
    if (this.#keeping && (options.declaredBytes ?? 0) > options.maxBytes) this.#stopKeeping('cap');
    stream.on('data', (chunk) => this.#onData(chunk));
    stream.on('end', () => this.#onEnd('complete'));
    stream.on('close', () => this.#onEnd('broken'));
  }

  get replayable(): boolean {
    return (
      !this.#gone && !this.#log.dropped && this.#end !== 'broken' && (this.#keeping || this.#furthest === 0)
    );
  }

  get arriving(): boolean {
    return this.#end === 'open';
  }

  /** An attempt waits for bytes that the client has not sent, or all of them are waited for. */
  get awaited(): boolean {
    return this.#end === 'open' && (this.#onWhole !== undefined || this.#readerWaits());
  }

  broughtOnAt(now: number): number {
    return this.#end === 'open' && this.#readerWaits() ? now : this.#arrivedAt;
  }

  #readerWaits(): boolean {
    for (const reader of this.#readers) if (reader.waiting) return true;
    return false;
  }

  /** Settles when the last byte is here or the client has gone. */
  settled(): Promise<void> {
    if (this.#end !== 'open') return Promise.resolve();
    return new Promise((resolve) => {
      this.#onSettled = resolve;
    });
  }

  whole(): Promise<readonly Buffer[] | undefined> {
    if (this.#end !== 'open' || !this.#keeping) return Promise.resolve(this.#wholeNow());
    this.#stream.resume();
    return new Promise((resolve) => {
      this.#onWhole = resolve;
    });
  }

  open(): BodySource {
    if (this.#end === 'broken') throw new RequestBodyBroken();
    if (!this.replayable) throw new RequestBodyNotBuffered();
    if (this.#end === 'complete') return this.#openWhole();
    const reader = new Reader(this);
    this.#readers.add(reader);
    return reader;
  }

  dispose(): void {
    this.#tellWhole();
    for (const reader of this.#readers) reader.close();
    this.#keeping = false;
    this.#log.release();
    this.#disposed = true;
    // What the client still sends is read and dropped, so that its connection can carry the next request.
    if (this.#end === 'open') this.#stream.resume();
  }

  /** All here: needs no reader, and a lone buffer costs undici less than an iteration. Several are not joined: that is a copy. */
  #openWhole(): BodySource {
    const chunks = this.#log.chunks();
    this.#gone = !this.#keeping;
    return chunks.length === 1 ? chunks[0] : chunks;
  }

  next(position: ReadPosition): Buffer | 'wait' | undefined {
    const chunk = this.#log.next(position);
    if (chunk !== undefined) return chunk;
    if (this.#end === 'broken') throw new RequestBodyBroken();
    return this.#end === 'complete' ? undefined : 'wait';
  }

  progressed(reader: Reader): void {
    this.#furthest = Math.max(this.#furthest, reader.position.bytes);
    if (!this.#keeping) this.#dropRead();
    if (!this.#tooFarAhead() && this.#end === 'open') this.#stream.resume();
  }

  closed(reader: Reader): void {
    this.#readers.delete(reader);
  }

  #onData(chunk: Buffer): void {
    if (this.#disposed) return;
    this.#arrivedAt = this.#options.now();
    if (!this.#keep(chunk)) this.#log.add(chunk);
    // What is awaited whole is bounded by the cap instead.
    if (this.#onWhole === undefined && this.#tooFarAhead()) this.#stream.pause();
    for (const reader of this.#readers) reader.wake();
  }

  #tooFarAhead(): boolean {
    const most = this.#options.memory.spent ? LEAST_AHEAD_BYTES : MAX_AHEAD_BYTES;
    return this.#log.bytes - this.#furthest > most;
  }

  #keep(chunk: Buffer): boolean {
    if (!this.#keeping) return false;
    const { maxBytes } = this.#options;
    const fits = this.#log.bytes + chunk.length <= maxBytes;
    if (fits && this.#log.tryAdd(chunk)) return true;
    this.#stopKeeping(fits ? 'memory' : 'cap');
    return false;
  }

  #stopKeeping(reason: 'cap' | 'memory'): void {
    this.#keeping = false;
    this.#options.onNotBuffered(reason);
    this.#tellWhole();
    this.#dropRead();
  }

  #wholeNow(): readonly Buffer[] | undefined {
    return this.#end === 'complete' && this.#keeping ? this.#log.chunks() : undefined;
  }

  #tellWhole(): void {
    this.#onWhole?.(this.#wholeNow());
    this.#onWhole = undefined;
  }

  #dropRead(): void {
    let lowest = Number.POSITIVE_INFINITY;
    for (const reader of this.#readers) lowest = Math.min(lowest, reader.position.bytes);
    this.#log.dropBefore(Math.min(lowest, this.#furthest));
  }

  #onEnd(end: 'complete' | 'broken'): void {
    if (this.#end !== 'open') return;
    this.#end = end;
    this.#onSettled?.();
    this.#tellWhole();
    for (const reader of this.#readers) reader.wake();
  }
}
