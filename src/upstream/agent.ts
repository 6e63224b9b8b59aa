import type { ConnectionOptions } from '../proxy/connection-options.ts';
import { type Connector, type ConnectorDeps, type ConnectorOptions, createConnector } from './connector.ts';
import type { Handler, Request } from './handler.ts';
import { Http1Pool } from './http1-pool.ts';
import { Http2Pool } from './http2-pool.ts';

interface AgentOptions extends ConnectionOptions, ConnectorOptions {}

/** Sends requests. */
export interface Sender {
  dispatch(request: Request, handler: Handler): boolean;
}

/** All connections to one upstream. */
export interface Agent {
  readonly requests: Sender;
  /**
   * Sends WebSocket handshakes, over HTTP/1.1 and always on a new connection. On a reused one, the upstream may just have
   * closed it, and a handshake must not be repeated.
   */
  readonly handshakes: Sender;
  /** The number of open connections, idle ones included, tunnels excluded. */
  connections(): number;
  /** Closes idle connections. No call can be sent after this. */
  close(): void;
}

/**
 * Creates the connections to one upstream. They are reused, and TLS is verified. Unless allowed, private addresses are
 * refused after DNS resolution, on the same addresses to which the socket connects.
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
  // Most upstreams get no handshake, and an empty pool takes 16 KB.
  let handshakes: Http1Pool | undefined;
  let closed = false;
  const pool = () => {
    handshakes ??= http1(connectHttp1);
    if (closed) handshakes.close();
    return handshakes;
  };
  return {
    requests,
    handshakes: { dispatch: (options, handler) => pool().dispatch(options, handler) },
    connections: () => requests.size + (handshakes?.size ?? 0),
    close: () => {
      closed = true;
      requests.close();
      handshakes?.close();
    },
  };
}
