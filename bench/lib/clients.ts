import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { REQUEST_HEADERS } from './scenarios.ts';

/** Connections that may be opened at once, so that the queue of the listening socket does not overflow. */
const OPENING = 100;
const HEAD_END = Buffer.from('\r\n\r\n');

/** The text of a request, with the usual fields. */
export function requestText(
  path: string,
  {
    method = 'GET',
    headers = {},
    body = '',
  }: { method?: string; headers?: Readonly<Record<string, string>>; body?: string } = {},
): string {
  const length = body === '' ? {} : { 'content-length': String(body.length) };
  const fields = Object.entries({ host: 'bench', ...REQUEST_HEADERS, ...headers, ...length });
  return `${method} ${path} HTTP/1.1\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
}

/**
 * Many connections from this process, each with at most one request in flight. It reads no more of a reply than its status and
 * its end, so that ten thousand connections cost this process little.
 */
export class Clients {
  /** Complete replies. */
  completed = 0;
  /** Of them, those with a status other than 2xx. */
  refused = 0;
  /** Their number by status. */
  readonly refusals = new Map<number, number>();
  readonly #lanes: Lane[] = [];

  static async open(port: number, count: number): Promise<Clients> {
    const clients = new Clients();
    while (clients.#lanes.length < count) {
      const opening = Array.from({ length: Math.min(OPENING, count - clients.#lanes.length) }, async () => {
        const socket = connect({ port, host: '127.0.0.1', noDelay: true });
        await once(socket, 'connect');
        return new Lane(socket);
      });
      clients.#lanes.push(...(await Promise.all(opening)));
    }
    return clients;
  }

  /** Sends `count` requests, each connection the next as soon as it has its reply. Resolves with the last reply. */
  async send(count: number, next: () => string): Promise<void> {
    let left = count;
    const work = async (lane: Lane): Promise<void> => {
      for (; left > 0; this.#count(await lane.exchange(next()))) left--;
    };
    await Promise.all(this.#lanes.map(work));
  }

  /** One request on each connection, `atOnce` at a time. Resolves with the last reply. */
  async each(next: () => string, atOnce = this.#lanes.length): Promise<void> {
    for (let from = 0; from < this.#lanes.length; from += atOnce) {
      const lanes = this.#lanes.slice(from, from + atOnce);
      await Promise.all(lanes.map(async (lane) => this.#count(await lane.exchange(next()))));
    }
  }

  /** Each connection sends the next request as soon as it has its reply, until `close`. Starts are spread over `overMs`. */
  keepSending(next: () => string, overMs: number): void {
    this.#lanes.forEach((lane, index) => {
      const start = async (): Promise<void> => {
        while (!lane.closed) this.#count(await lane.exchange(next()));
      };
      setTimeout(() => void start().catch(() => undefined), (index / this.#lanes.length) * overMs);
    });
  }

  /** Sends `perSecond` requests on free connections for `ms`. A request that finds no free one is left out and counted. */
  async pace(perSecond: number, ms: number, next: () => string): Promise<{ readonly leftOut: number }> {
    const free = [...this.#lanes];
    const pending = new Set<Promise<void>>();
    let [sent, leftOut] = [0, 0];
    const begunAt = performance.now();
    for (let passed = 0; passed < ms; passed = performance.now() - begunAt) {
      for (const due = (passed / 1_000) * perSecond; sent < due; sent++) {
        const lane = free.pop();
        if (lane === undefined) leftOut++;
        else {
          const exchange = lane.exchange(next()).then((status) => {
            this.#count(status);
            free.push(lane);
            pending.delete(exchange);
          });
          pending.add(exchange);
        }
      }
      await new Promise((resolve) => void setTimeout(resolve, 1));
    }
    await Promise.all(pending);
    return { leftOut };
  }

  close(): void {
    for (const lane of this.#lanes) lane.close();
  }

  #count(status: number): void {
    this.completed++;
    if (status >= 200 && status <= 299) return;
    this.refused++;
    this.refusals.set(status, (this.refusals.get(status) ?? 0) + 1);
  }
}

class Lane {
  closed = false;
  readonly #socket: Socket;
  #status = 0;
  /** Bytes until the end of the reply; undefined while its head is read. */
  #left: number | undefined;
  #done: ((status: number) => void) | undefined;
  #failed: ((error: Error) => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => this.#read(bytes as Buffer));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the proxy closed a connection')));
  }

  exchange(text: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#done = resolve;
      this.#failed = reject;
      if (this.closed) this.#fail(new Error('the connection is closed'));
      else this.#socket.write(text, 'latin1');
    });
  }

  close(): void {
    this.closed = true;
    this.#socket.destroy();
  }

  #fail(error: Error): void {
    this.closed = true;
    this.#failed?.(error);
  }

  /** The heads of all replies in the bench fit into one packet. */
  #read(bytes: Buffer): void {
    if (this.#left === undefined) {
      const end = bytes.indexOf(HEAD_END);
      const head = bytes.toString('latin1', 0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
      if (end < 0 || length === undefined) return this.#fail(new Error(`not a reply with a length: ${head}`));
      this.#status = Number(head.slice(9, 12));
      this.#left = Number(length) + end + HEAD_END.length;
    }
    this.#left -= bytes.length;
    if (this.#left > 0) return;
    this.#left = undefined;
    this.#done?.(this.#status);
  }
}
