/** How connections to an upstream are made and for how long they are used. Times in milliseconds. */
export interface ConnectionOptions {
  /** From the start to the end of the TLS handshake. */
  readonly connectTimeoutMs: number;
  /** An idle connection is closed after this time, or earlier if the upstream's Keep-Alive field says so. */
  readonly keepAliveMs: number;
  /** A connection older than this gets no new attempts, so that changes in DNS take effect. */
  readonly maxAgeMs: number;
  readonly http2: 'off' | 'auto' | 'require';
  /** Undefined: connections are direct. */
  readonly proxy: EgressProxy | undefined;
  readonly tls: ClientTls;
}

/** The HTTP proxy between this process and an upstream. */
export interface EgressProxy {
  readonly protocol: 'http:' | 'https:';
  readonly hostname: string;
  readonly port: number;
  /** Value of Proxy-Authorization; it is secret. */
  readonly authorization: string | undefined;
}

/** TLS to an upstream. It is always verified. By default, Mozilla's list and NODE_EXTRA_CA_CERTS are trusted. */
export interface ClientTls {
  /** PEM; trusted instead of the default list. */
  readonly ca: string | undefined;
  /** PEM; the client certificate with its chain. With `key`, or neither. */
  readonly cert: string | undefined;
  /** PEM; the private key of `cert`. */
  readonly key: string | undefined;
  /** The name to send (SNI) and to verify. Default: the host of the URL. */
  readonly servername: string | undefined;
  readonly minVersion: TlsVersion;
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';
