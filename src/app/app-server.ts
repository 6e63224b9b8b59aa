import { once } from 'node:events';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Address, ClientOptions, ServerTls } from '../config/config.ts';
import { wantsTunnel } from '../proxy/upgrade.ts';
import { createServer } from '../runtime/node-http.ts';
import { type ClientErrorDeps, clientErrors, refuseConnect, refuseExpectation } from './client-error.ts';
import { isSecure, secureOptions } from './server-tls.ts';

/** Longer than any HTTP client keeps an idle connection, so that it is never we who close one just as it is used again. */
const KEEP_ALIVE_MS = 10 * 60_000;

/** Heads that take too long are looked for this many times within the time they have. */
const CHECKS_PER_TIMEOUT = 4;

export interface Handlers extends ClientErrorDeps {
  readonly handle: RequestListener;
  readonly upgrade: (req: IncomingMessage, socket: Socket, head: Buffer) => void;
}

export interface ListenOptions extends Pick<ClientOptions, 'headTimeoutMs' | 'maxConnections'> {
  readonly address: Address;
  /** Apps connect by HTTPS. */
  readonly tls: ServerTls | undefined;
}

/** The server that apps connect to. It rejects with the system's error when the address cannot be had. */
export async function listen(
  { address, tls, headTimeoutMs, maxConnections }: ListenOptions,
  handlers: Handlers,
): Promise<Server> {
  const options = {
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: headTimeoutMs,
    connectionsCheckingInterval: Math.ceil(headTimeoutMs / CHECKS_PER_TIMEOUT),
    // An upload may take as long as it takes, as long as it goes on.
    requestTimeout: 0,
    // Checked by us, so that the refusal looks like all others.
    requireHostHeader: false,
    shouldUpgradeCallback: wantsTunnel,
  };
  const server: Server =
    tls === undefined
      ? createServer(options, handlers.handle)
      : (await import('node:https')).createServer({ ...options, ...secureOptions(tls) }, handlers.handle);
  // Fields beyond node's 2000 would be dropped without a word, those that frame the body too. 16 KiB of them are the limit.
  server.maxHeadersCount = 0;
  server.maxConnections = maxConnections;
  server.on('upgrade', handlers.upgrade);
  server.on('connect', refuseConnect);
  server.on('checkExpectation', refuseExpectation);
  server.on('clientError', clientErrors(handlers));
  server.listen(address.port, address.host);
  await once(server, 'listening');
  return server;
}

/** `http://127.0.0.1:8080`, with the port that was really given. */
export function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `${isSecure(server) ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
