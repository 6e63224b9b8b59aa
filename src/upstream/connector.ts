import type { buildConnector } from 'undici';
import connectorOf from 'undici/lib/core/connect.js';
import type { ConnectionOptions } from '../proxy/connection-options.ts';
import type { Clock } from '../runtime/clock.ts';
import { createLookup } from './lookup.ts';
import { throughProxy } from './proxy-egress.ts';
import type { Resolve } from './shared-lookups.ts';
import { VERIFIED } from './verified.ts';

/** Opens a connection, up to the end of its TLS handshake. */
export type Connector = buildConnector.connector;
export type Connected = buildConnector.Callback;

/** The options of a new connection. */
export interface ConnectorOptions extends Pick<ConnectionOptions, 'connectTimeoutMs' | 'proxy' | 'tls'> {
  readonly allowPrivate: boolean;
}

export interface ConnectorDeps {
  readonly clock: Clock;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve | undefined;
}

/**
 * Creates a connector. With `offerHttp2`, ALPN offers HTTP/2 first, then HTTP/1.1; the socket's `alpnProtocol` has the
 * upstream's choice.
 */
export function createConnector(
  { connectTimeoutMs, allowPrivate, tls, proxy }: ConnectorOptions,
  offerHttp2: boolean,
  { clock, resolve }: ConnectorDeps,
): Connector {
  const options: buildConnector.BuildOptions = {
    timeout: connectTimeoutMs,
    allowH2: offerHttp2,
    preferH2: true,
    minVersion: tls.minVersion,
    ...VERIFIED,
    ...set('ca', tls.ca),
    ...set('cert', tls.cert),
    ...set('key', tls.key),
    ...set('servername', tls.servername),
    lookup: createLookup({ allowPrivate, timeoutMs: connectTimeoutMs, clock, resolve }),
  };
  const direct = connectorOf(options);
  const connect =
    proxy === undefined
      ? direct
      : throughProxy(proxy, direct, { timeoutMs: connectTimeoutMs, clock, resolve });
  return (target, callback) =>
    connect(target, (error, socket) => {
      if (error !== null) return callback(error, null);
      socket.once('error', (failure: NodeJS.ErrnoException) => {
        // Only a close may end a body without length, not a reset (RFC 9112 §8). undici treats ECONNRESET like a close.
        if (failure.code === 'ECONNRESET') failure.code = 'EPIPE';
        // A TLS alert after the handshake causes 'error', then 'end'. undici would report only the end.
        socket.destroy();
      });
      callback(null, socket);
    });
}

function set(key: string, value: string | undefined): Record<string, string> {
  return value === undefined ? {} : { [key]: value };
}
