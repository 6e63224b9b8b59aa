declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  interface AccessToken {
    readonly clientId: string;
    readonly scope?: string;
    destroy(): Promise<void>;
  }

  /** The part that the tests use. */
  export default class Provider {
    constructor(issuer: string, configuration: object);
    readonly ClientCredentials: { find(value: string): Promise<AccessToken | undefined> };
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
    on(event: 'grant.success' | 'grant.error', listener: (context: object, error?: Error) => void): this;
  }
}
