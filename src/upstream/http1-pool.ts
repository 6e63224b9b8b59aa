import type { Dispatcher } from 'undici';
// A deep import: undici's index also loads fetch, mocks, caches and WebSockets, which takes 10 MB and 80 % of the import
// time. The exact version of undici is pinned for that reason.
import Pool from 'undici/lib/dispatcher/pool.js';
import PoolBase from 'undici/lib/dispatcher/pool-base.js';
import type { Clock } from '../runtime/clock.ts';
import type { Connector } from './connector.ts';

export interface Http1PoolOptions {
  readonly clock: Clock;
  readonly connect: Connector;
  /** An idle connection is closed after this time, or earlier if the upstream's Keep-Alive field says so. */
  readonly keepAliveMs: number;
  /** A connection older than this gets no new requests. */
  readonly maxAgeMs: number;
}

/**
 * HTTP/1.1 connections to one origin, one per running request. undici's own age limit (`clientTtl`) is not used. It reads
 * the wall clock for every busy connection at each dispatch: with 30 connections, 5 % of the cost of a call.
 */
export class Http1Pool {
  readonly #pool: Pool;
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  /** The opening time of each connection, oldest first. */
  readonly #connectedAt = new Map<Dispatcher, number>();
  #open = 0;
  /** No connection is too old before this time. */
  #nextCheckAt = Infinity;

  constructor(origin: string, { clock, connect, keepAliveMs, maxAgeMs }: Http1PoolOptions) {
    this.#clock = clock;
    this.#maxAgeMs = maxAgeMs;
    this.#pool = new Pool(origin, {
      // The proxy has its own timeouts. undici's timers above one second are inexact by half a second.
      headersTimeout: 0,
      bodyTimeout: 0,
      // HTTP/2 has its own pool, and the exchange needs raw header lists.
      allowH2: false,
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: keepAliveMs,
      pipelining: 1,
      connect,
    });
    this.#pool.on('connect', (_origin, [, connection]) => this.#connected(connection as Dispatcher));
    this.#pool.on('disconnect', (_origin, [, connection]) => {
      this.#open--;
      // undici would reuse the object for a later connection. After a burst, thousands would stay in memory, and each call would
      // look through them.
      if (this.#connectedAt.delete(connection as Dispatcher))
        this.#pool[PoolBase.kRetireClient](connection as Dispatcher);
    });
  }

  /** The number of open connections, idle and retired ones included. */
  get size(): number {
    return this.#open;
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const now = this.#clock.now();
    if (now >= this.#nextCheckAt) this.#retire(now);
    return this.#pool.dispatch(options, handler);
  }

  /** No request can be sent after this. */
  close(): void {
    // A second signal of the system calls this a second time.
    if (!this.#pool.closed) void this.#pool.close();
  }

  #connected(connection: Dispatcher): void {
    this.#open++;
    const now = this.#clock.now();
    if (this.#connectedAt.size === 0) this.#nextCheckAt = now + this.#maxAgeMs;
    this.#connectedAt.set(connection, now);
  }

  /** Retires connections that are too old. They finish their current request. */
  #retire(now: number): void {
    for (const [connection, at] of this.#connectedAt) {
      this.#nextCheckAt = at + this.#maxAgeMs;
      if (now < this.#nextCheckAt) return;
      this.#connectedAt.delete(connection);
      this.#pool[PoolBase.kRetireClient](connection);
    }
    this.#nextCheckAt = Infinity;
  }
}
