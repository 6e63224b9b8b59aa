// Deep imports: undici's index also loads fetch, mocks, caches and WebSockets, which takes 10 MB and 80 % of the import
// time. The exact version of undici is pinned for that reason.
import symbols from 'undici/lib/core/symbols.js';
import type Client from 'undici/lib/dispatcher/client.js';
import { ProxyError } from '../proxy/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Connector } from './connector.ts';
import type { Handler, Request } from './handler.ts';
import { Http1Client } from './http1-client.ts';

export interface Http1PoolOptions {
  readonly clock: Clock;
  readonly connect: Connector;
  /** An idle connection is closed after this time, or earlier if the upstream's Keep-Alive field says so. */
  readonly keepAliveMs: number;
  /** A connection older than this gets no new requests. */
  readonly maxAgeMs: number;
}

/**
 * HTTP/1.1 connections to one origin, one per running request. undici's `Pool` is not used. It looks through all busy
 * connections at each dispatch, and with an age limit it reads the wall clock for each of them. With 8000 calls in flight,
 * that was a third of the CPU time.
 */
export class Http1Pool {
  readonly #origin: URL;
  readonly #options: Client.Options;
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  /** Connections without a request. The last one was used last, so those that are not needed expire. */
  readonly #free: Client[] = [];
  /** The opening time of each connection, oldest first. */
  readonly #connectedAt = new Map<Client, number>();
  #open = 0;
  /** No connection is too old before this time. */
  #nextCheckAt = Infinity;
  #closed = false;

  constructor(origin: string, { clock, connect, keepAliveMs, maxAgeMs }: Http1PoolOptions) {
    this.#origin = new URL(origin);
    this.#clock = clock;
    this.#maxAgeMs = maxAgeMs;
    this.#options = {
      // The proxy has its own timeouts. undici's timers above one second are inexact by half a second.
      headersTimeout: 0,
      bodyTimeout: 0,
      // HTTP/2 has its own pool, and the exchange needs raw header lists.
      allowH2: false,
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: keepAliveMs,
      pipelining: 1,
      connect,
    };
  }

  /** The number of open connections, idle and retired ones included. */
  get size(): number {
    return this.#open;
  }

  /** The number of connections without a request. */
  get free(): number {
    return this.#free.length;
  }

  dispatch(request: Request, handler: Handler): boolean {
    if (this.#closed) {
      const error = new ProxyError('connection_terminated', 'the pool is closed');
      handler.onResponseError(undefined, error);
      return false;
    }
    const now = this.#clock.now();
    if (now >= this.#nextCheckAt) this.#retireOld(now);
    const client = this.#take();
    client.dispatch(request, handler);
    // undici has refused the request, so it emits no 'drain'.
    if (isFree(client)) this.#release(client);
    return true;
  }

  /** No request can be sent after this. Connections close as soon as they have no request. */
  close(): void {
    this.#closed = true;
    for (const client of this.#free.splice(0)) void client.close();
  }

  /** A connection without a request. One that has become busy or closed meanwhile is dropped here; 'drain' brings it back. */
  #take(): Client {
    for (let client = this.#free.pop(); client !== undefined; client = this.#free.pop())
      if (isFree(client)) return client;
    return this.#create();
  }

  #create(): Client {
    const client = new Http1Client(this.#origin, this.#options);
    client.on('connect', () => this.#connected(client));
    client.on('drain', () => this.#release(client));
    client.on('disconnect', () => {
      this.#open--;
      this.#retire(client);
    });
    client.on('connectionError', () => this.#retire(client));
    return client;
  }

  /** The connection has no request. */
  #release(client: Client): void {
    if (client.closed) return;
    if (this.#closed) void client.close();
    else this.#free.push(client);
  }

  #connected(client: Client): void {
    this.#open++;
    const now = this.#clock.now();
    if (this.#connectedAt.size === 0) this.#nextCheckAt = now + this.#maxAgeMs;
    this.#connectedAt.set(client, now);
  }

  /** The connection gets no new request. It finishes the one that it has. */
  #retire(client: Client): void {
    this.#connectedAt.delete(client);
    // Those that expire are the first.
    const index = this.#free.indexOf(client);
    if (index >= 0) this.#free.splice(index, 1);
    if (!client.closed) void client.close();
  }

  #retireOld(now: number): void {
    for (const [client, at] of this.#connectedAt) {
      this.#nextCheckAt = at + this.#maxAgeMs;
      if (now < this.#nextCheckAt) return;
      this.#retire(client);
    }
    this.#nextCheckAt = Infinity;
  }
}

const isFree = (client: Client): boolean => client[symbols.kNeedDrain] === 0 && !client.closed;
