import type { Dispatcher } from 'undici';
import { type Connector, type ConnectorDeps, type ConnectorOptions, createConnector } from './connector.ts';
import { Http1Pool } from './http1-pool.ts';
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
  const { http2, connectTimeoutMs, keepAliveMs, maxAgeMs } = options;
  const { clock } = deps;
  const connectHttp1 = createConnector(options, false, deps);
  const http1 = (connect: Connector) => new Http1Pool(origin, { clock, connect, keepAliveMs, maxAgeMs });
  const http1Only = http2 === 'off' || (http2 === 'auto' && origin.startsWith('http:'));
  const requests = http1Only
    ? http1(connectHttp1)
    : new Http2Pool(origin, {
        clock,
        mode: http2,
        connect: createConnector(options, true, deps),
        connectHttp1,
        connectTimeoutMs,
        keepAliveMs,
        maxAgeMs,
        http1,
      });
  const handshakes = http1(connectHttp1);
  return {
    requests,
    handshakes,
    connections: () => requests.size + handshakes.size,
    close: () => {
      requests.close();
      handshakes.close();
    },
  };
}
