import type { RawHeaders } from '../http/headers.ts';

/** A request to an issuer of secrets. */
export interface EndpointRequest {
  readonly headers: RawHeaders;
  readonly body: Buffer;
}

export interface EndpointReply {
  readonly status: number;
  readonly headers: [string, string][];
  readonly body: string;
}

/** Sends a request to the token endpoint under the policies of an upstream. Rejects with a ProxyError. */
export type Post = (request: EndpointRequest) => Promise<EndpointReply>;
