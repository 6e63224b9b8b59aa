import type { RawHeaders } from '../http/headers.ts';

/** A request to an issuer of secrets. */
export interface EndpointRequest {
  readonly headers: RawHeaders;
  /** Undefined: a GET. */
  readonly body: Buffer | undefined;
}

export interface EndpointReply {
  readonly status: number;
  readonly headers: [string, string][];
  readonly body: string;
}

/** Sends a request to an issuer under the policies of an upstream. Rejects with a ProxyError. */
export type Ask = (request: EndpointRequest) => Promise<EndpointReply>;
