import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { ProxyError } from '../proxy/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Connector } from './connector.ts';
import type { Http1Pool } from './http1-pool.ts';
import { Http2Connection } from './http2-connection.ts';
import type { Handler, Request } from './handler.ts';

export interface Http2PoolOptions {
  readonly clock: Clock;
  /** `auto`: HTTP/1.1 if the upstream does not offer HTTP/2. `require`: an error in that case, and HTTP/2 also without TLS. */
  readonly mode: 'auto' | 'require';
  /** Connects with an offer of HTTP/2. */
  readonly connect: Connector;
  /** Connects without that offer. */
  readonly connectHttp1: Connector;
  readonly connectTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly maxAgeMs: number;
  /** Creates the pool for requests over HTTP/1.1. It first reuses a connection on which the upstream has chosen HTTP/1.1. */
  readonly http1: (connect: Connector) => Http1Pool;
}

interface Waiting {
  readonly request: Request;
  readonly handler: Handler;
}

/**
 * Connections to one upstream that may use HTTP/2. If the upstream chooses HTTP/1.1 (ALPN), this holds for the maximum age
 * of a connection; then HTTP/2 is offered again.
 */
export class Http2Pool {
  readonly #origin: URL;
  readonly #options: Http2PoolOptions;
  readonly #http1: Http1Pool;
  readonly #connections = new Set<Http2Connection>();
  /** Connections on which the upstream has chosen HTTP/1.1, until the HTTP/1.1 pool takes them over. */
  readonly #spare: Socket[] = [];
  #waiting: Waiting[] = [];
  #connecting = false;
  #http1Until = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(origin: string, options: Http2PoolOptions) {
    this.#origin = new URL(origin);
    this.#options = options;
    this.#http1 = options.http1((target, callback) => {
      const socket = this.#spare.pop();
      if (socket === undefined || socket.destroyed) options.connectHttp1(target, callback);
      // undici does not notice a connection that is delivered synchronously.
      else queueMicrotask(() => callback(null, socket));
    });
  }

  /** The number of open connections, HTTP/1.1 included. */
  get size(): number {
    return this.#connections.size + this.#http1.size;
  }

  dispatch(request: Request, handler: Handler): boolean {
    if (this.#closed) throw new ProxyError('connection_terminated', 'the pool is closed');
    if (this.#options.clock.now() < this.#http1Until) return this.#http1.dispatch(request, handler);
    this.#waiting.push({ request, handler });
    this.#drain();
    return true;
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#connections) connection.retire();
    this.#http1.close();
  }

  #drain(): void {
    while (this.#waiting.length > 0) {
      const connection = this.#available();
      if (connection === undefined) break;
      const { request, handler } = this.#waiting.shift() as Waiting;
      connection.dispatch(request, handler);
    }
    if (this.#waiting.length > 0) this.#connectMore();
  }

  #available(): Http2Connection | undefined {
    for (const connection of this.#connections) if (connection.hasCapacity) return connection;
    return undefined;
  }

  #connectMore(): void {
    for (const connection of this.#connections) if (connection.awaitsSettings) return;
    if (this.#connecting) return;
    this.#connecting = true;
    const { protocol, hostname, port, host } = this.#origin;
    const bare = hostname.replace(/^\[|\]$/g, '');
    this.#options.connect({ protocol, hostname: bare, port, host }, (error, socket) => {
      this.#connecting = false;
      if (error !== null) return this.#failAll(error);
      this.#connected(socket);
    });
  }

  #connected(socket: Socket): void {
    const { mode } = this.#options;
    const chosen = (socket as Partial<TLSSocket>).alpnProtocol;
    if (chosen === 'h2' || (mode === 'require' && this.#origin.protocol === 'http:')) {
      this.#connections.add(this.#connection(socket));
      return this.#drain();
    }
    if (mode === 'require') {
      socket.destroy();
      return this.#failAll(new ProxyError('tls_protocol_error', 'the upstream does not offer HTTP/2 (ALPN)'));
    }
    socket.on('error', () => undefined);
    this.#spare.push(socket);
    this.#speakHttp1();
    // If an idle connection took the call, the spare one would never be closed.
    this.#options.clock.timer(0, () => {
      for (const surplus of this.#spare.splice(0)) surplus.destroy();
    });
  }

  #connection(socket: Socket): Http2Connection {
    const { clock, connectTimeoutMs, keepAliveMs, maxAgeMs } = this.#options;
    const connection: Http2Connection = new Http2Connection(socket, {
      origin: this.#origin,
      clock,
      keepAliveMs,
      maxAgeMs,
      pingTimeoutMs: connectTimeoutMs,
      onChange: () => {
        if (connection.closed) this.#connections.delete(connection);
        this.#drain();
      },
      onHttp1Required: () => {
        if (this.#options.mode === 'auto') this.#speakHttp1();
      },
    });
    return connection;
  }

  #speakHttp1(): void {
    const { clock, maxAgeMs } = this.#options;
    this.#http1Until = clock.now() + maxAgeMs;
    for (const { request, handler } of this.#waiting.splice(0)) this.#http1.dispatch(request, handler);
  }

  #failAll(error: Error): void {
    for (const { handler } of this.#waiting.splice(0)) {
      handler.onResponseError(undefined, error);
    }
  }
}
