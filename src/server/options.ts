export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What apps may do to us. */
export interface ClientOptions {
  /** From the connection, or the first byte of a later request, to the end of its head. */
  readonly headTimeoutMs: number;
  /** Gap in a request's body. */
  readonly bodyTimeoutMs: number;
  readonly sendTimeoutMs: number;
  /** Of an upload or a response that waits for the client; 0: no minimum. */
  readonly minBytesPerSecond: number;
  /** HTTP/2 is spoken too. */
  readonly http2: boolean;
  readonly maxConnections: number;
  /** Web pages may use routes that add a credential. */
  readonly browsers: boolean;
  /** Names for the `Host` of such a route, in lower case; undefined: any. */
  readonly hosts: readonly string[] | undefined;
}

/** PEM texts. */
export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: TlsVersion;
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';
