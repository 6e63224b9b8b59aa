import type { SecureVersion } from 'node:tls';
import type { buildConnector } from 'undici';
import connectorOf from 'undici/lib/core/connect.js';
import type { Clock } from '../runtime/clock.ts';
import { createLookup } from './lookup.ts';
import { type EgressProxy, throughProxy } from './proxy-egress.ts';
import type { Resolve } from './shared-lookups.ts';
import { VERIFIED } from './verified.ts';

/** Opens a connection, up to the end of its TLS handshake. */
export type Connector = buildConnector.connector;
export type Connected = buildConnector.Callback;

/** TLS to an upstream. It is always verified; what Node trusts is Mozilla's list and NODE_EXTRA_CA_CERTS. */
export interface TlsOptions {
  /** PEM; trusted in place of Node's list. */
  readonly ca: string | undefined;
  /** PEM; our own certificate with its chain, for upstreams that ask for one, and its key. */
  readonly cert: string | undefined;
  readonly key: string | undefined;
  /** The name to ask for (SNI) and to verify, where it is not the URL's host. */
  readonly servername: string | undefined;
  readonly minVersion: SecureVersion;
}

export interface ConnectorOptions {
  /** To the end of the TLS handshake. */
  readonly connectTimeoutMs: number;
  readonly allowPrivate: boolean;
  readonly tls: TlsOptions;
  readonly proxy: EgressProxy | undefined;
}

export interface ConnectorDeps {
  readonly clock: Clock;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve | undefined;
}

/** `offerHttp2`: HTTP/2 first, then HTTP/1.1 (ALPN); the socket's `alpnProtocol` tells what the upstream chose. */
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
        // A body that ends with its connection is ended by a close, not by a reset (RFC 9112 §8); to undici both are one.
        if (failure.code === 'ECONNRESET') failure.code = 'EPIPE';
        // An alert that comes after the handshake is an error first and an end second; undici would tell of the end only.
        socket.destroy();
      });
      callback(null, socket);
    });
}

function set(key: string, value: string | undefined): Record<string, string> {
  return value === undefined ? {} : { [key]: value };
}
