import type { Dispatcher } from 'undici';
// Not from 'undici' itself: its index loads fetch, mocks, caches and WebSockets as well, which is 10 MB and four fifths
// of the import's time for a proxy that uses none of them. Its exact version is pinned for that reason.
import Pool from 'undici/lib/dispatcher/pool.js';
import PoolBase from 'undici/lib/dispatcher/pool-base.js';
import type { Clock } from '../runtime/clock.ts';
import type { Connector } from './connector.ts';

export interface Http1PoolOptions {
  readonly clock: Clock;
  readonly connect: Connector;
  /** An idle connection is closed after this, or earlier where the upstream's Keep-Alive hint says so. */
  readonly keepAliveMs: number;
  /** A connection older than this takes no new request. */
  readonly maxAgeMs: number;
}

/**
 * HTTP/1.1 connections to one origin, one for each request that runs. undici has an age limit too (`clientTtl`), but asks
 * the wall clock for the age of every busy connection whenever one is looked for: at thirty at once, a twentieth of what a
 * call costs.
 */
export class Http1Pool {
  readonly #pool: Pool;
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  /** When each connection was made, oldest first. */
  readonly #connectedAt = new Map<Dispatcher, number>();
  #open = 0;
  /** Before this moment none is too old. */
  #nextCheckAt = Infinity;

  constructor(origin: string, { clock, connect, keepAliveMs, maxAgeMs }: Http1PoolOptions) {
    this.#clock = clock;
    this.#maxAgeMs = maxAgeMs;
    this.#pool = new Pool(origin, {
      // Our own clock ends what takes too long: undici's timers above a second are half a second coarse.
      headersTimeout: 0,
      bodyTimeout: 0,
      // The exchange takes raw header lists, and HTTP/1.1 has a connection for each attempt.
      allowH2: false,
      keepAliveTimeout: keepAliveMs,
      keepAliveMaxTimeout: keepAliveMs,
      pipelining: 1,
      connect,
    });
    this.#pool.on('connect', (_origin, [, connection]) => this.#connected(connection as Dispatcher));
    this.#pool.on('disconnect', (_origin, [, connection]) => {
      this.#open--;
      this.#connectedAt.delete(connection as Dispatcher);
    });
  }

  /** Open connections: idle ones, and those that are too old and end with their request, included. */
  get size(): number {
    return this.#open;
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const now = this.#clock.now();
    if (now >= this.#nextCheckAt) this.#retire(now);
    return this.#pool.dispatch(options, handler);
  }

  /** Nothing can be sent after this. */
  close(): void {
    // A second signal stops us a second time.
    if (!this.#pool.closed) void this.#pool.close();
  }

  #connected(connection: Dispatcher): void {
    this.#open++;
    const now = this.#clock.now();
    if (this.#connectedAt.size === 0) this.#nextCheckAt = now + this.#maxAgeMs;
    this.#connectedAt.set(connection, now);
  }

  /** They finish the request that they have. */
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
