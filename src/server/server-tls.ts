import type { Server } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../runtime/logger.ts';
import type { ServerTls } from './options.ts';

/** Maximum time of a client's TLS handshake. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Options of a server for HTTPS. */
export function secureOptions({ cert, key, minVersion }: ServerTls, http2: boolean) {
  const ALPNProtocols = http2 ? ['h2', 'http/1.1'] : ['http/1.1'];
  return { cert, key, minVersion, ALPNProtocols, handshakeTimeout: HANDSHAKE_TIMEOUT_MS };
}

/** Whether `server` serves HTTPS. */
export function isSecure(server: Server): server is SecureServer {
  return 'setSecureContext' in server;
}

export interface TlsChange {
  readonly from: ServerTls | undefined;
  readonly to: ServerTls | undefined;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

/** Applies a changed certificate to new connections. Open connections are not affected. */
export function followTls(server: Server, { from, to, logger }: TlsChange): void {
  if (isSecure(server) !== (to !== undefined)) {
    logger.warn({}, 'turning tls on or off requires a restart; the running listener is unchanged');
  } else if (to !== undefined && isSecure(server) && !isDeepStrictEqual(to, from)) {
    server.setSecureContext(to);
    logger.info({}, 'new connections use the new certificate');
  }
}
