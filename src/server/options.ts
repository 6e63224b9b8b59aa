import type { NamedClient } from '../proxy/client.ts';
import type { TlsVersion } from '../proxy/connection-options.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A client with its secrets: one, or several while a token is replaced. */
export interface ClientToken extends NamedClient {
  readonly token: readonly string[];
}

/** The clients and their limits (the key `clients`). */
export interface ClientOptions {
  /** Empty: all clients are served. */
  readonly tokens: readonly ClientToken[];
  /** From the connection, or the first byte of a later request, to the end of the head. */
  readonly headTimeoutMs: number;
  /** Longest gap in a request body. */
  readonly bodyTimeoutMs: number;
  /** Longest time without progress while response bytes wait for the client. */
  readonly sendTimeoutMs: number;
  /** Minimum rate of an upload or response while the proxy waits for the client. 0: no minimum. */
  readonly minBytesPerSecond: number;
  /** Whether HTTP/2 is served too. */
  readonly http2: boolean;
  readonly maxConnections: number;
  /** Whether web pages may use routes that add a credential. */
  readonly browsers: boolean;
  /** Allowed names in `Host` for such routes, in lower case. Undefined: every name. */
  readonly hosts: readonly string[] | undefined;
}

/** Certificate chain and private key of the listener, in PEM. */
export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: TlsVersion;
}
