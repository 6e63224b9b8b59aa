import type { Server } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import type { ServerTls } from '../config/config.ts';

/** A client that has not ended its TLS handshake by then is not going to. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** What a server is created with so that apps connect by HTTPS. */
export function secureOptions({ cert, key, minVersion }: ServerTls) {
  return { cert, key, minVersion, handshakeTimeout: HANDSHAKE_TIMEOUT_MS };
}

/** Whether apps connect to `server` by HTTPS. */
export function isSecure(server: Server): server is SecureServer {
  return 'setSecureContext' in server;
}

/** New connections get the new certificate; those that stand stay as they are. */
export function renewCertificate(server: Server, tls: ServerTls): void {
  if (isSecure(server)) server.setSecureContext(tls);
}
