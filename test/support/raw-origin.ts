import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { Changes } from './changes.ts';
import { MessageReader, type RawMessage, requestFraming } from './raw-http.ts';

/** The origin's side of one connection, for a step. */
export interface Peer {
  readonly socket: Socket;
  /** The request that started the step; undefined if the step did not wait for a complete one. */
  readonly request: RawMessage | undefined;
  /** Resolves once the bytes are with the kernel; false if the connection is gone. */
  write(bytes: string | Buffer): Promise<boolean>;
  /** FIN. The origin goes on reading, so this is a half-close until `destroy` or the client's own FIN. */
  fin(): void;
  /** RST, dropping whatever was not sent. */
  reset(): void;
}

/** The time of a step: when the connection is accepted, or at a request's first byte, complete head, or last byte. */
export type Moment = 'accept' | 'first_byte' | 'head' | 'request';

export interface RawStep {
  readonly at: Moment;
  run(peer: Peer): void | Promise<void>;
}

export interface RawOrigin {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly port: number;
  /** Requests that arrived whole, in order. */
  readonly requests: readonly RawMessage[];
  /** Steps that were started, also those of incomplete requests. */
  readonly stepsTaken: number;
  /** Bytes received on all connections. */
  readonly bytesReceived: number;
  /** Connections accepted so far. */
  readonly connections: number;
  readonly openConnections: number;
  /** Resolves as soon as `condition` holds; it is asked again at every connection, byte, step and close. */
  until(condition: (origin: RawOrigin) => boolean): Promise<void>;
  /** Stops listening: new connections are refused, open ones stay. */
  refuse(): void;
  /** Listens again on the same port. */
  accept(): Promise<void>;
  /** Ends every open connection, as an upstream does with idle ones. */
  closeConnections(how: 'fin' | 'reset'): void;
  /** Closes everything. Called automatically at the end of the test. */
  close(): Promise<void>;
}

/**
 * A server on a bare socket, scripted step by step: each connection accepted or request begun takes the next step,
 * the last repeats. Steps that act `at: 'accept'` take a connection, all others a request; without any step the
 * origin listens and stays silent.
 */
export async function startRawOrigin(...steps: readonly RawStep[]): Promise<RawOrigin> {
  const origin = new ScriptedOrigin(steps);
  await origin.accept();
  onTestFinished(() => origin.close());
  return origin;
}

/** The URL of a loopback port that refuses connections. */
export async function refusingOrigin(): Promise<RawOrigin> {
  const origin = await startRawOrigin();
  origin.refuse();
  return origin;
}

class ScriptedOrigin implements RawOrigin {
  port = 0;
  readonly requests: RawMessage[] = [];
  stepsTaken = 0;
  bytesReceived = 0;
  connections = 0;
  readonly #steps: readonly RawStep[];
  readonly #changes = new Changes();
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(steps: readonly RawStep[]) {
    this.#steps = steps;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  until(condition: (origin: RawOrigin) => boolean): Promise<void> {
    return this.#changes.until(() => condition(this));
  }

  accept(): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#serve(socket));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', () => {
        this.port = (server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  refuse(): void {
    // The listening socket is gone when this returns; its callback would wait for the last connection.
    this.#server?.close();
  }

  closeConnections(how: 'fin' | 'reset'): void {
    for (const socket of this.#sockets) {
      if (how === 'reset') socket.resetAndDestroy();
      else socket.end();
    }
  }

  async close(): Promise<void> {
    this.#server?.close();
    for (const socket of this.#sockets) socket.destroy();
    await this.until(() => this.#sockets.size === 0);
  }

  #next(): RawStep | undefined {
    return this.#steps[Math.min(this.stepsTaken, this.#steps.length - 1)];
  }

  #serve(socket: Socket): void {
    this.connections++;
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#changes.notify();
    });
    // allowHalfOpen is for half-closes of the origin. A client that has finished gets a FIN in return.
    socket.on('end', () => socket.end());

    const reader = new MessageReader(requestFraming);
    let step: RawStep | undefined;
    let ran = false;
    const advance = (moment: Moment, request?: RawMessage) => {
      if (step === undefined) {
        const next = this.#next();
        if (next === undefined || (moment === 'accept' && next.at !== 'accept')) return;
        step = next;
        this.stepsTaken++;
      }
      // A step for accepting applies to a request on an open connection at its first byte.
      const due = step.at === 'accept' ? moment === 'accept' || moment === 'first_byte' : step.at === moment;
      if (ran || !due) return;
      ran = true;
      void step.run(peerOf(socket, request));
    };
    const done = () => {
      step = undefined;
      ran = false;
    };

    advance('accept');
    done();
    socket.on('data', (chunk: Buffer) => {
      this.bytesReceived += chunk.length;
      reader.push(chunk);
      do {
        advance('first_byte');
        if (reader.head !== undefined) advance('head');
        const request = reader.take();
        if (request === undefined) break;
        this.requests.push(request);
        advance('request', request);
        done();
      } while (reader.pending.length > 0);
      this.#changes.notify();
    });
    this.#changes.notify();
  }
}

function peerOf(socket: Socket, request: RawMessage | undefined): Peer {
  return {
    socket,
    request,
    write: (bytes) =>
      new Promise((resolve) => {
        if (!socket.writable) return resolve(false);
        const data = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
        socket.write(data, (error) => resolve(error === undefined || error === null));
      }),
    fin: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
  };
}
