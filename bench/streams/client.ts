import { connect, type Socket } from 'node:net';
import { type Pace, requestBytes } from './request.ts';

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
  /** Time of each event from the API to the client, ms. */
  readonly delaysMs: readonly number[];
  /** Events that did not come, also because the stream broke. */
  readonly lost: number;
}

const STAMP = /"content":"(\d+)"/g;
/** The last chunk of a body. */
const BODY_END = '\r\n0\r\n\r\n';
/** Longer than a stamp and the end of a body, which may come in two pieces. */
const LONGEST_TAIL = 100;
/** A stream that has not ended by then has lost its events. */
const PATIENCE_MS = 20_000;

/** A client with one connection, which it uses for one stream after the other. */
export class Client {
  readonly #target: Target;
  #socket: Socket | undefined;

  constructor(target: Target) {
    this.#target = target;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async stream(pace: Pace): Promise<Streamed> {
    this.#socket ??= await connected(this.#target.port);
    const socket = this.#socket;
    const sentAt = process.hrtime.bigint();
    const arrivals: { readonly atNs: bigint; readonly stampNs: bigint }[] = [];
    const whole = await new Promise<boolean>((resolve) => {
      let text = '';
      const end = (complete: boolean) => {
        clearTimeout(patience);
        socket.removeAllListeners();
        socket.on('error', () => undefined);
        resolve(complete);
      };
      const patience = setTimeout(() => end(false), PATIENCE_MS);
      socket.on('data', (piece: Buffer) => {
        const atNs = process.hrtime.bigint();
        text += piece.toString('latin1');
        let read = 0;
        for (const match of text.matchAll(STAMP)) {
          arrivals.push({ atNs, stampNs: BigInt(match[1] ?? 0) });
          read = match.index + match[0].length;
        }
        if (text.endsWith(BODY_END)) end(true);
        else text = text.slice(Math.max(read, text.length - LONGEST_TAIL));
      });
      socket.on('error', () => end(false));
      socket.on('close', () => end(false));
      socket.write(requestBytes(pace, this.#target.headers));
    });
    if (!whole) this.close();
    return {
      firstMs: Number((arrivals[0]?.atNs ?? sentAt) - sentAt) / 1e6,
      delaysMs: arrivals.map(({ atNs, stampNs }) => Number(atNs - stampNs) / 1e6),
      lost: pace.events - arrivals.length + (whole ? 0 : 1),
    };
  }

  /** Asks for a stream and resolves at its first event. The stream stays open until `close`. */
  async open(pace: Pace): Promise<void> {
    this.#socket = await connected(this.#target.port);
    const socket = this.#socket;
    const first = new Promise<void>((resolve, reject) => {
      let text = '';
      socket.on('data', (piece: Buffer) => {
        if (text.includes('"content"')) return;
        text += piece.toString('latin1');
        if (text.includes('"content"')) resolve();
      });
      socket.once('close', () => reject(new Error(`a stream ended before its first event: ${text}`)));
    });
    socket.write(requestBytes(pace, this.#target.headers));
    await first;
  }
}

function connected(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}
