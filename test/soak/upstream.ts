import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Random } from '../../src/runtime/random.ts';
import { mutate } from '../fuzz/mutate.ts';
import { strictMessage } from '../fuzz/strict-http.ts';
import { validReply } from '../fuzz/traffic.ts';

/** An upstream with random faults of every kind: slow, silent, truncated, garbled, repeated, overloaded, large, down. */
export class FaultyUpstream {
  port = 0;
  readonly violations: string[] = [];
  readonly #random: Random;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #server: Server | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  async start(): Promise<void> {
    const server = createServer((socket) => this.#serve(socket));
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Like a killed process: its port refuses connections, and open ones are reset. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await new Promise<void>((resolve) => {
      if (this.#server === undefined) resolve();
      else this.#server.close(() => resolve());
    });
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    if (this.#random() < 0.01) return void socket.resetAndDestroy();
    let text = '';
    socket.setEncoding('latin1').on('data', (piece: string) => {
      text += piece;
      try {
        for (;;) {
          const message = strictMessage(text, 0, 'request');
          if (message === undefined) break;
          text = text.slice(message.end);
          const token = /T[\da-f]{12}T/.exec(`${message.head}\n${message.body}`)?.[0] ?? 'none';
          const from = /^range: bytes=(\d+)-\r?$/im.exec(message.head)?.[1];
          if (from === undefined) this.#answer(socket, token);
          else this.#pour(socket, token, Number(from));
        }
      } catch (error) {
        this.violations.push(String(error));
        socket.destroy();
      }
    });
  }

  #answer(socket: Socket, token: string): void {
    const random = this.#random;
    // Its 503 is among the faults below, with a share of its own.
    const whole = validReply(token, random).replace('503 Busy', '200 Fine');
    const half = whole.slice(0, Math.floor(random() * whole.length));
    const roll = random();
    if (roll < 0.6) socket.write(whole, 'latin1');
    else if (roll < 0.65) this.#later(random() * 300, () => socket.write(whole, 'latin1'));
    else if (roll < 0.7) socket.end(half, 'latin1');
    else if (roll < 0.74) socket.write(half, 'latin1', () => socket.resetAndDestroy());
    else if (roll < 0.76) socket.write(half, 'latin1');
    else if (roll < 0.82) socket.write(mutate(whole, random), 'latin1');
    else if (roll < 0.84) socket.write(whole + whole, 'latin1');
    else if (roll < 0.87)
      socket.write('HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 4\r\n\r\nbusy', 'latin1');
    else if (roll < 0.95) this.#pour(socket, token);
    else if (roll < 0.97) socket.resetAndDestroy();
  }

  /** A body larger than all buffers, from byte `from` on. Every other one is truncated, to be resumed. */
  #pour(socket: Socket, token: string, from?: number): void {
    const body = token + 'z'.repeat(4 * 1024 * 1024);
    const rest = body.slice(from);
    const range = `Content-Range: bytes ${from}-${body.length - 1}/${body.length}\r\n`;
    const start = from === undefined ? 'HTTP/1.1 200 OK\r\n' : `HTTP/1.1 206 Partial\r\n${range}`;
    const head = `${start}X-Id: ${token}\r\nETag: "${token}"\r\nContent-Length: ${rest.length}\r\n\r\n`;
    if (this.#random() < 0.5) return void socket.write(head + rest, 'latin1');
    const part = head + rest.slice(0, Math.floor(this.#random() * rest.length));
    socket.write(part, 'latin1', () => socket.resetAndDestroy());
  }

  #later(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }
}
