import type { Dispatcher, Pool as PoolType } from 'undici';
// Not from 'undici' itself: its index loads fetch, mocks, caches and WebSockets as well, which is 10 MB and four fifths
// of the import's time for a proxy that uses none of them. Its exact version is pinned for that reason.
import Pool from 'undici/lib/dispatcher/pool.js';
import { type Connector, type ConnectorDeps, type ConnectorOptions, createConnector } from './connector.ts';
import { Http2Pool } from './http2-pool.ts';

export interface AgentOptions extends ConnectorOptions {
  /** An idle connection is closed after this, or earlier where the upstream's Keep-Alive hint says so. */
  readonly keepAliveMs: number;
  /** A connection older than this takes no new attempt, so that DNS changes are followed. */
  readonly maxAgeMs: number;
  readonly http2: 'off' | 'auto' | 'require';
}

/** What sends requests: undici's Dispatcher, as far as it is used here. */
export type Sender = Pick<Dispatcher, 'dispatch'>;

/** All connections to one upstream. */
export interface Agent {
  readonly requests: Sender;
  /**
   * Where handshakes go: HTTP/1.1 only, and always on a new connection, because a handshake that meets its end on a
   * connection that the upstream had just given up must not be sent again.
   */
  readonly handshakes: Sender;
  /** Open connections, idle ones included; those that have become tunnels are not. */
  connections(): number;
  /** No call can be sent after this. */
  close(): void;
}

/**
 * Connections are kept alive and used again, TLS is verified, and private addresses are refused after resolving, on the
 * very addresses that the socket then connects to, unless allowed.
 */
export function createAgent(origin: string, options: AgentOptions, deps: ConnectorDeps): Agent {
  const http1 = createConnector(options, false, deps);
  const handshakes = createPool(origin, options, http1);
  const { requests, connections, close } = requestsOf(origin, options, http1, deps);
  return {
    requests,
    handshakes,
    connections: () => connections() + handshakes.stats.connected,
    close: () => {
      close();
      closeOnce(handshakes);
    },
  };
}

interface Requests {
  readonly requests: Sender;
  readonly connections: () => number;
  readonly close: () => void;
}

function requestsOf(origin: string, options: AgentOptions, http1: Connector, deps: ConnectorDeps): Requests {
  const { http2, connectTimeoutMs, keepAliveMs, maxAgeMs } = options;
  if (http2 === 'off' || (http2 === 'auto' && origin.startsWith('http:'))) {
    const pool = createPool(origin, options, http1);
    return { requests: pool, connections: () => pool.stats.connected, close: () => closeOnce(pool) };
  }
  let fallback: PoolType | undefined;
  const pool = new Http2Pool(origin, {
    clock: deps.clock,
    mode: http2,
    connect: createConnector(options, true, deps),
    connectHttp1: http1,
    connectTimeoutMs,
    keepAliveMs,
    maxAgeMs,
    http1: (connect) => (fallback = createPool(origin, options, connect)),
  });
  return {
    requests: pool,
    connections: () => pool.size + (fallback?.stats.connected ?? 0),
    close: () => {
      pool.close();
      if (fallback !== undefined) closeOnce(fallback);
    },
  };
}

function createPool(origin: string, { keepAliveMs, maxAgeMs }: AgentOptions, connect: Connector): PoolType {
  return new Pool(origin, {
    // Our own clock ends what takes too long: undici's timers above a second are half a second coarse.
    headersTimeout: 0,
    bodyTimeout: 0,
    // The exchange takes raw header lists, and HTTP/1.1 has a connection for each attempt.
    allowH2: false,
    keepAliveTimeout: keepAliveMs,
    keepAliveMaxTimeout: keepAliveMs,
    clientTtl: maxAgeMs,
    pipelining: 1,
    connect,
  });
}

/** A second signal stops us a second time. */
function closeOnce(pool: PoolType): void {
  if (!pool.closed) void pool.close();
}
