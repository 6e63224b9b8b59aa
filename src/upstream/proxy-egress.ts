import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { buildConnector } from 'undici';
import connectorOf from 'undici/lib/core/connect.js';
import { ProxyError } from '../proxy/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { request } from '../runtime/node-http.ts';
import { toProxyError } from './failure.ts';
import { createLookup } from './lookup.ts';
import type { Resolve } from './shared-lookups.ts';

/** The HTTP proxy that stands between us and the upstreams. */
export interface EgressProxy {
  readonly protocol: 'http:' | 'https:';
  readonly hostname: string;
  readonly port: number;
  /** Value of Proxy-Authorization. */
  readonly authorization: string | undefined;
}

interface Options {
  /** For all of it: to the proxy, its tunnel, the TLS handshake through it. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly resolve?: Resolve | undefined;
}

type Connector = buildConnector.connector;

/**
 * Connects by a CONNECT tunnel (RFC 9110 §9.3.6), to `http:` upstreams as well, and lets `secure` speak TLS through it. The
 * proxy resolves the upstream's name, so it is the proxy that decides which addresses are reached.
 */
export function throughProxy(proxy: EgressProxy, secure: Connector, options: Options): Connector {
  const { clock, timeoutMs, resolve } = options;
  // The proxy itself was named by the operator, and is inside as a rule.
  const lookup = createLookup({ allowPrivate: true, timeoutMs, clock, resolve });
  const toProxy = connectorOf({ timeout: timeoutMs, allowH2: false, lookup });
  const address = { protocol: proxy.protocol, hostname: proxy.hostname, port: String(proxy.port) };
  const where = `egress proxy ${proxy.hostname}:${proxy.port}`;
  return (target, callback) => {
    let open: Socket | undefined;
    let settled = false;
    const settle = (error: Error | null, socket: Socket | null) => {
      if (settled) return void socket?.destroy();
      settled = true;
      late.cancel();
      if (error !== null || socket === null) {
        open?.destroy();
        callback(error ?? new Error('no socket'), null);
      } else callback(null, socket);
    };
    const late = clock.timer(timeoutMs, () =>
      settle(new ProxyError('connect_timeout', `${where}: no tunnel within ${timeoutMs} ms`), null),
    );
    toProxy({ ...address, host: `${proxy.hostname}:${proxy.port}` }, (error, socket) => {
      if (error !== null) return settle(named(error, where), null);
      if (settled) return void socket.destroy();
      open = socket;
      openTunnel(socket, authorityOf(target), proxy.authorization, (refusal) => {
        if (refusal !== undefined) return settle(named(refusal, where), null);
        if (target.protocol !== 'https:') return settle(null, socket);
        secure({ ...target, httpSocket: socket }, settle);
      });
    });
  };
}

function openTunnel(
  socket: Socket,
  authority: string,
  authorization: string | undefined,
  done: (refusal?: Error) => void,
): void {
  const connect = request({
    method: 'CONNECT',
    path: authority,
    headers: {
      host: authority,
      connection: 'keep-alive',
      ...(authorization === undefined ? {} : { 'proxy-authorization': authorization }),
    },
    createConnection: () => socket,
  });
  connect.on('error', done);
  connect.on('connect', ({ statusCode = 0, statusMessage }: IncomingMessage, _socket, head: Buffer) => {
    if (statusCode < 200 || statusCode > 299) {
      const said = `${statusCode} ${statusMessage ?? ''}`.trim();
      return done(new ProxyError('egress_proxy_refused', `answered ${said} to CONNECT ${authority}`));
    }
    if (head.length > 0) socket.unshift(head);
    done();
  });
  connect.end();
}

function authorityOf({ hostname, protocol, port }: buildConnector.Options): string {
  const host = hostname.includes(':') ? `[${hostname}]` : hostname;
  return `${host}:${port || (protocol === 'https:' ? 443 : 80)}`;
}

/** Whose failure it was is not to be guessed from the outside. */
function named(cause: Error, where: string): ProxyError {
  const { code, message } = toProxyError(cause, 'not_sent');
  return new ProxyError(code, `${where}: ${message}`, { cause });
}
