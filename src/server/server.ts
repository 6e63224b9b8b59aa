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

/** Longer than any HTTP client keeps an idle connection, so that it is never we who close one just as it is used again. */
const KEEP_ALIVE_MS = 10 * 60_000;

/** Heads that take too long are looked for this often, or four times within the time they have. */
const LONGEST_CHECK_INTERVAL_MS = 1_000;

export interface Handlers extends ClientErrorDeps {
  readonly handle: RequestListener;
  readonly upgrade: (req: IncomingMessage, socket: Socket, head: Buffer) => void;
  readonly serve: (pair: RequestAndResponse) => void;
  /** A connection could not be accepted; those that are open go on. */
  readonly onAcceptError: (error: Error) => void;
}

type Limits = Pick<ClientOptions, 'headTimeoutMs' | 'maxConnections'>;

export interface ListenOptions extends Limits {
  readonly http2: boolean;
  readonly address: Address;
  /** Apps connect by HTTPS. */
  readonly tls: ServerTls | undefined;
}

/** The server that apps connect to. */
export interface AppServer {
  readonly http1: Server;
  readonly http2: Http2Clients | undefined;
}

/** Rejects with the system's error when the address cannot be had. */
export async function listen(
  { address, tls, http2, ...limits }: ListenOptions,
  handlers: Handlers,
): Promise<AppServer> {
  const options = {
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: Math.min(LONGEST_CHECK_INTERVAL_MS, Math.ceil(limits.headTimeoutMs / 4)),
    // An upload may take as long as it takes, as long as it goes on.
    requestTimeout: 0,
    // Checked by us, so that the refusal looks like all others.
    requireHostHeader: false,
    shouldUpgradeCallback: wantsTunnel,
  };
  const handle: RequestListener = (req, res) => {
    joinWhilePaused(req);
    handlers.handle(req, res);
  };
  const server: Server =
    tls === undefined
      ? createServer(options, handle)
      : (await import('node:https')).createServer({ ...options, ...secureOptions(tls, http2) }, handle);
  // Fields beyond node's 2000 would be dropped without a word, those that frame the body too. 16 KiB of them are the limit.
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

/** Takes no more connections and no more calls; settles once those that run have ended. */
export function closeServer(server: AppServer | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (server === undefined) return resolve();
    server.http1.close(() => resolve());
    server.http2?.retire();
  });
}

/** Cuts whatever is still connected. */
export function cutClients(server: AppServer | undefined): void {
  server?.http1.closeAllConnections();
  server?.http2?.destroy();
}

/** Takes effect on connections and heads to come. */
export function limitClients(server: Server, { headTimeoutMs, maxConnections }: Limits): void {
  server.headersTimeout = headTimeoutMs;
  server.maxConnections = maxConnections;
}

/** `http://127.0.0.1:8080`, with the port that was really given. */
export function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `${isSecure(server) ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
