import { connect, type Socket } from 'node:net';
import { machineMs } from './clock.ts';
import { type Pace, requestBytes, STAMP_DIGITS } from './request.ts';

/** A proxy, or the API itself. */
export interface Target {
  readonly name: string;
  readonly port: number;
  /** Fields that each request to it needs. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** One stream as its client saw it. */
export interface Streamed {
  /** Time from the request to the first event, ms. */
  readonly firstMs: number;
  /** Moments at which the API wrote the events, ms. */
  readonly stampsMs: Float64Array;
  /** Time of each event from the API to the client, ms. */
  readonly delaysMs: Float64Array;
  /** Events that did not come, also because the stream broke. */
  readonly lost: number;
}

const STAMP_BEFORE = Buffer.from('"content":"');
/** The last chunk of a body. */
const BODY_END = Buffer.from('\r\n0\r\n\r\n');
/** A stream that has not ended by then has lost its events. */
const PATIENCE_MS = 20_000;

/** Every socket is read into it, because each piece is read to its end before the next one comes. */
const pieces = Buffer.allocUnsafe(65_536);

/** Reads a stream, of which a proxy may cut the bytes anywhere. It creates no object for an event. */
class Reading {
  readonly stampsMs: Float64Array;
  readonly delaysMs: Float64Array;
  events = 0;
  ended = false;
  /** Bytes of `STAMP_BEFORE` that match, then one for each digit. */
  #matched = 0;
  #stampUs = 0;
  #endMatched = 0;

  constructor(events: number) {
    this.stampsMs = new Float64Array(events);
    this.delaysMs = new Float64Array(events);
  }

  read(piece: Buffer, length: number, nowMs: number): void {
    for (let i = 0; i < length; i++) {
      const byte = piece[i] as number;
      this.#readEnd(byte);
      if (this.#matched < STAMP_BEFORE.length) {
        this.#matched =
          byte === STAMP_BEFORE[this.#matched] ? this.#matched + 1 : byte === STAMP_BEFORE[0] ? 1 : 0;
        continue;
      }
      this.#stampUs = this.#stampUs * 10 + byte - 0x30;
      if (++this.#matched < STAMP_BEFORE.length + STAMP_DIGITS) continue;
      this.stampsMs[this.events] = this.#stampUs / 1_000;
      this.delaysMs[this.events++] = nowMs - this.#stampUs / 1_000;
      this.#matched = 0;
      this.#stampUs = 0;
    }
  }

  #readEnd(byte: number): void {
    if (byte === BODY_END[this.#endMatched]) this.#endMatched++;
    else this.#endMatched = byte === BODY_END[0] ? 1 : 0;
    if (this.#endMatched === BODY_END.length) this.ended = true;
  }
}

/** A client with one connection, which it uses for one stream after the other. */
export class Client {
  readonly #target: Target;
  #socket: Socket | undefined;
  #reading: Reading | undefined;
  /** Called at each piece, and when the connection is closed. */
  #changed: (() => void) | undefined;

  constructor(target: Target) {
    this.#target = target;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  /** `request` is that of `requestFor`. */
  async stream({ events }: Pace, request: Buffer): Promise<Streamed> {
    const socket = (this.#socket ??= await this.#connected());
    const reading = new Reading(events);
    const sentMs = machineMs();
    await new Promise<void>((resolve) => {
      const patience = setTimeout(resolve, PATIENCE_MS);
      this.#changed = () => {
        if (!reading.ended && !socket.destroyed) return;
        clearTimeout(patience);
        resolve();
      };
      this.#reading = reading;
      socket.write(request);
    });
    this.#changed = this.#reading = undefined;
    if (!reading.ended) this.close();
    const { stampsMs, delaysMs } = reading;
    return {
      firstMs: (stampsMs[0] ?? NaN) + (delaysMs[0] ?? NaN) - sentMs,
      stampsMs: stampsMs.subarray(0, reading.events),
      delaysMs: delaysMs.subarray(0, reading.events),
      lost: events - reading.events + (reading.ended ? 0 : 1),
    };
  }

  /** Asks for a stream and resolves at its first event. The stream stays open until `close`. */
  async open({ events }: Pace, request: Buffer): Promise<void> {
    const socket = (this.#socket ??= await this.#connected());
    const reading = new Reading(events);
    await new Promise<void>((resolve, reject) => {
      this.#changed = () => {
        if (reading.events > 0) resolve();
        else if (socket.destroyed) reject(new Error('a stream ended before its first event'));
      };
      this.#reading = reading;
      socket.write(request);
    });
  }

  #connected(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = connect({
        port: this.#target.port,
        host: '127.0.0.1',
        noDelay: true,
        onread: {
          buffer: pieces,
          callback: (length) => {
            this.#reading?.read(pieces, length, machineMs());
            this.#changed?.();
            return true;
          },
        },
      });
      socket.once('error', reject);
      socket.once('close', () => this.#changed?.());
      socket.once('connect', () => {
        socket.off('error', reject);
        socket.on('error', () => undefined);
        resolve(socket);
      });
    });
  }
}

/** The request for a stream of this pace from the target. */
export const requestFor = (target: Target, pace: Pace): Buffer => requestBytes(pace, target.headers);
