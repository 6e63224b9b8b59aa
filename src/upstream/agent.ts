import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import type { Pool as PoolType } from 'undici';
// Not from 'undici' itself: its index loads fetch, mocks, caches and WebSockets as well, which is 10 MB and four fifths
// of the import's time for a proxy that uses none of them. Its exact version is pinned for that reason.
import Pool from 'undici/lib/dispatcher/pool.js';
import { isPrivateAddress } from '../http/private-address.ts';
import { ProxyError } from '../proxy/errors.ts';

export interface ConnectionOptions {
  /** To the end of the TLS handshake. */
  readonly connectTimeoutMs: number;
  /** An idle connection is closed after this, or earlier where the upstream's Keep-Alive hint says so. */
  readonly keepAliveMs: number;
  /** A connection older than this takes no new attempt, so that DNS changes are followed. */
  readonly maxAgeMs: number;
}

/**
 * Where handshakes go: HTTP/1.1 only, and always on a new connection, because a handshake that meets its end on a
 * connection that the upstream had just given up must not be sent again.
 */
export function createTunnelPool(
  origin: string,
  options: ConnectionOptions,
  allowPrivate: boolean,
): PoolType {
  return new Pool(origin, { ...poolOptions(options, allowPrivate), allowH2: false });
}

/**
 * The keep-alive pool of one upstream. TLS is verified against the system's roots with SNI; private addresses are
 * refused after resolving, on the very addresses that the socket then connects to, unless allowed.
 */
export function createPool(origin: string, options: ConnectionOptions, allowPrivate: boolean): PoolType {
  return new Pool(origin, poolOptions(options, allowPrivate));
}

function poolOptions(options: ConnectionOptions, allowPrivate: boolean): PoolType.Options {
  return {
    // Our own clock ends what takes too long: undici's timers above a second are half a second coarse.
    headersTimeout: 0,
    bodyTimeout: 0,
    // The exchange speaks HTTP/1.1: raw header lists, and a connection of its own for each attempt.
    allowH2: false,
    keepAliveTimeout: options.keepAliveMs,
    keepAliveMaxTimeout: options.keepAliveMs,
    clientTtl: options.maxAgeMs,
    pipelining: 1,
    connect: {
      timeout: options.connectTimeoutMs,
      ...(allowPrivate ? {} : { lookup: publicLookup }),
    },
  };
}

type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

/** dns.lookup that answers with public addresses only. */
function publicLookup(hostname: string, options: LookupOptions, callback: LookupCallback): void {
  dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, []);
    const allowed = addresses.filter(({ address }) => !isPrivateAddress(address));
    const first = allowed[0];
    if (first === undefined) {
      const message = `${hostname} resolves to a private address; set allow_private: true if that is meant`;
      return callback(new ProxyError('address_prohibited', message), []);
    }
    if (options.all === true) callback(null, allowed);
    else callback(null, first.address, first.family);
  });
}
