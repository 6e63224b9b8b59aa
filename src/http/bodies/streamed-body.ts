import type { Clock } from '../../runtime/clock.ts';
import type { ByteBudget } from '../byte-budget.ts';
import { BodyBuffer, type ReadPosition } from './body-buffer.ts';
import { Reader, type ReadLog } from './body-reader.ts';
import {
  type BodySource,
  type RequestBody,
  RequestBodyBroken,
  RequestBodyNotBuffered,
  type WholeBody,
} from './request-body.ts';

/** The part of node:http's IncomingMessage from which a body is read. */
export interface BodyStream {
  on(event: 'data', listener: (chunk: Buffer) => void): unknown;
  on(event: 'end' | 'close', listener: () => void): unknown;
  pause(): unknown;
  resume(): unknown;
}

export interface ReplayOptions {
  readonly declaredBytes: number | undefined;
  /** Maximum buffered bytes. 0: the route never repeats a body, so nothing is buffered for repetition. */
  readonly maxBytes: number;
  readonly memory: ByteBudget;
  readonly clock: Pick<Clock, 'now'>;
  readonly onNotBuffered: (reason: 'cap' | 'memory') => void;
}

/** Unread bytes at which the upload is paused. */
const MAX_AHEAD_BYTES = 256 * 1024;

/** The same while the memory of all bodies is exhausted. */
const LEAST_AHEAD_BYTES = 16 * 1024;

/**
 * Buffers a request body while it streams. The client is the writer; attempts are readers with their own positions. Above
 * `maxBytes` or the memory budget, buffering stops: the running attempt continues, bytes that it has read are dropped, and
 * no other attempt can start.
 */
export class StreamedBody implements RequestBody, ReadLog {
  /** Bytes that have arrived. */
  received = 0;
  readonly #stream: BodyStream;
  readonly #options: ReplayOptions;
  #readers: Reader[] = [];
  readonly #log: BodyBuffer;
  /** Whether the complete body was handed out and is not buffered. */
  #gone = false;
  #buffering: boolean;
  #disposed = false;
  /** The furthest position of a reader, in bytes. */
  #furthest = 0;
  #end: 'open' | 'complete' | 'broken' = 'open';
  #onSettled: (() => void) | undefined;
  #onWhole: ((chunks: WholeBody) => void) | undefined;
  #arrivedAt: number;

  constructor(stream: BodyStream, options: ReplayOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#log = new BodyBuffer(options.memory);
    this.#arrivedAt = options.clock.now();
    this.#buffering = options.maxBytes > 0;
    if (this.#buffering && (options.declaredBytes ?? 0) > options.maxBytes) this.#stopBuffering('cap');
    stream.on('data', (chunk) => this.#onData(chunk));
    stream.on('end', () => this.#onEnd('complete'));
    stream.on('close', () => this.#onEnd('broken'));
  }

  get replayable(): boolean {
    return (
      !this.#gone && !this.#log.dropped && this.#end !== 'broken' && (this.#buffering || this.#furthest === 0)
    );
  }

  get arriving(): boolean {
    return this.#end === 'open';
  }

  /** Whether an attempt or `whole` waits for bytes that the client has not sent. */
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

  /** Calls `listener` once, when the body is complete or the client has disconnected. A later listener replaces it. */
  onSettled(listener: () => void): void {
    if (this.#end === 'open') this.#onSettled = listener;
    else listener();
  }

  whole(): WholeBody | Promise<WholeBody> {
    if (this.#end !== 'open' || !this.#buffering) return this.#wholeNow();
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
    this.#readers.push(reader);
    return reader;
  }

  dispose(): void {
    this.#settleWhole();
    for (const reader of this.#readers) reader.close();
    this.#buffering = false;
    this.#log.release();
    this.#disposed = true;
    // The rest of the upload is read and dropped, so that the connection can be reused.
    if (this.#end === 'open') this.#stream.resume();
  }

  /** Opens a complete body without a reader. A single buffer costs undici less than an iteration; joining several would copy. */
  #openWhole(): BodySource {
    const chunks = this.#log.chunks();
    this.#gone = !this.#buffering;
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
    if (!this.#buffering) this.#dropRead();
    if (!this.#tooFarAhead() && this.#end === 'open') this.#stream.resume();
  }

  closed(reader: Reader): void {
    this.#readers = this.#readers.filter((other) => other !== reader);
  }

  #onData(chunk: Buffer): void {
    this.received += chunk.length;
    if (this.#disposed) return;
    this.#arrivedAt = this.#options.clock.now();
    if (!this.#buffer(chunk)) this.#log.add(chunk);
    // `whole` needs all bytes, so only `maxBytes` limits them.
    if (this.#onWhole === undefined && this.#tooFarAhead()) this.#stream.pause();
    for (const reader of this.#readers) reader.wake();
  }

  #tooFarAhead(): boolean {
    const most = this.#options.memory.spent ? LEAST_AHEAD_BYTES : MAX_AHEAD_BYTES;
    return this.#log.bytes - this.#furthest > most;
  }

  #buffer(chunk: Buffer): boolean {
    if (!this.#buffering) return false;
    const { maxBytes } = this.#options;
    const fits = this.#log.bytes + chunk.length <= maxBytes;
    if (fits && this.#log.tryAdd(chunk)) return true;
    this.#stopBuffering(fits ? 'memory' : 'cap');
    return false;
  }

  #stopBuffering(reason: 'cap' | 'memory'): void {
    this.#buffering = false;
    this.#options.onNotBuffered(reason);
    this.#settleWhole();
    this.#dropRead();
  }

  #wholeNow(): WholeBody {
    return this.#end === 'complete' && this.#buffering ? this.#log.chunks() : undefined;
  }

  #settleWhole(): void {
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
    this.#settleWhole();
    for (const reader of this.#readers) reader.wake();
  }
}
