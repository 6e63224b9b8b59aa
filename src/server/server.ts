import { once } from 'node:events';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from '../runtime/node-http.ts';
import { type ClientErrorDeps, clientErrors, refuseConnect, refuseExpectation } from './client-error.ts';
import type { RequestAndResponse } from './client-exchange.ts';
import { Http2Clients } from './http2-server.ts';
import { joinWhilePaused } from './joined-while-paused.ts';
import type { Address, ClientOptions, ServerTls } from './options.ts';
import { isSecure, secureOptions } from './server-tls.ts';
import { wantsTunnel } from './upgrade.ts';

/** Longer than HTTP clients keep an idle connection, so that the server does not close one that a client is about to use. */
const KEEP_ALIVE_MS = 10 * 60_000;

/** The longest interval between checks for slow heads. They are checked at least four times within their timeout. */
const LONGEST_CHECK_INTERVAL_MS = 1_000;

export interface Handlers extends ClientErrorDeps {
  readonly handle: RequestListener;
  readonly upgrade: (req: IncomingMessage, socket: Socket, head: Buffer) => void;
  readonly serve: (pair: RequestAndResponse) => void;
  /** Called if a connection could not be accepted. Open connections are not affected. */
  readonly onAcceptError: (error: Error) => void;
}

type Limits = Pick<ClientOptions, 'headTimeoutMs' | 'maxConnections'>;

export interface ListenOptions extends Limits {
  readonly http2: boolean;
  readonly address: Address;
  /** Undefined: apps connect without TLS. */
  readonly tls: ServerTls | undefined;
}

/** The server that apps connect to. */
export interface AppServer {
  readonly http1: Server;
  readonly http2: Http2Clients | undefined;
}

/** Starts the server. Rejects with the system's error if the address is not available. */
export async function listen(
  { address, tls, http2, ...limits }: ListenOptions,
  handlers: Handlers,
): Promise<AppServer> {
  const options = {
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.min(LONGEST_CHECK_INTERVAL_MS, Math.ceil(limits.headTimeoutMs / 4)),
    // An upload has no time limit, only a limit for gaps.
    requestTimeout: 0,
    // Checked in invalid-request.ts, so that the reply has the usual form.
    requireHostHeader: false,
    shouldUpgradeCallback: wantsTunnel,
    // Node then ends the stream of a request without a body before it hands it over, and emits no events of it.
    optimizeEmptyRequests: true,
  };
  const handle: RequestListener = (req, res) => {
    if (!req.readableEnded) joinWhilePaused(req);
    handlers.handle(req, res);
  };
  const server: Server =
    tls === undefined
      ? createServer(options, handle)
      : (await import('node:https')).createServer({ ...options, ...secureOptions(tls, http2) }, handle);
  // Node would silently drop fields after the 2000th, framing fields too. Their size stays limited to 16 KiB.
  server.maxHeadersCount = 0;
  limitClients(server, limits);
  server.on('upgrade', handlers.upgrade);
  server.on('connect', refuseConnect);
  server.on('checkExpectation', refuseExpectation);
  server.on('clientError', clientErrors(handlers));
  const { clock, serve } = handlers;
  const headTimeoutMs = () => server.headersTimeout;
  const http2Clients = http2
    ? await Http2Clients.on(server, { clock, headTimeoutMs, keepAliveMs: KEEP_ALIVE_MS, serve })
    : undefined;
  server.listen(address.port, address.host);
  await once(server, 'listening');
  server.on('error', handlers.onAcceptError);
  return { http1: server, http2: http2Clients };
}

/** Accepts no new connections and calls. Resolves when all running calls have ended. */
export function closeServer(server: AppServer | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (server === undefined) return resolve();
    server.http1.close(() => resolve());
    server.http2?.retire();
  });
}

/** Closes all open connections at once. */
export function cutClients(server: AppServer | undefined): void {
  server?.http1.closeAllConnections();
  server?.http2?.destroy();
}

/** Sets the limits for new connections and heads. */
export function limitClients(server: Server, { headTimeoutMs, maxConnections }: Limits): void {
  server.headersTimeout = headTimeoutMs;
  server.maxConnections = maxConnections;
}

/** The URL of the server, with the port that the system has assigned, such as `http://127.0.0.1:8080`. */
export function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `${isSecure(server) ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
