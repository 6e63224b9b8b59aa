import type { ReplacedParts } from '../proxy/credential.ts';

/** A user and a password (RFC 7617). */
export interface BasicOptions {
  readonly kind: 'basic';
  readonly user: string;
  readonly password: string;
}

/** Secret parameters of the query. */
export interface QueryOptions {
  readonly kind: 'query';
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** Access tokens by client credentials (RFC 6749 §4.4). */
export interface OAuth2Options {
  readonly kind: 'oauth2';
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly client: ClientSecret | ClientKey;
  readonly scope: string | undefined;
  readonly audience: string | undefined;
}

/** A secret that is sent in `Authorization` or in the body (RFC 6749 §2.3.1). */
interface ClientSecret {
  readonly kind: 'basic' | 'post';
  readonly secret: string;
}

/** A key that signs an assertion (RFC 7523 §2.2). */
interface ClientKey {
  readonly kind: 'private_key_jwt';
  /** PEM. */
  readonly key: string;
  readonly keyId: string | undefined;
  /** Of the assertion; undefined: the URL of the token endpoint. */
  readonly audience: string | undefined;
}

/** A credential that the proxy adds to the calls of a route. */
export type AuthOptions = BasicOptions | QueryOptions | OAuth2Options;

const NONE: ReadonlySet<string> = new Set();

export function replacedBy(auth: AuthOptions): ReplacedParts {
  switch (auth.kind) {
    case 'basic':
    case 'oauth2':
      return { headers: ['authorization'], parameters: NONE };
    case 'query':
      return { headers: [], parameters: new Set(auth.parameters.map(([name]) => name)) };
  }
}

/** The account of a credential, as texts that stay the same when a secret is renewed. The result may be secret, so hash it. */
export function accountOf(auth: AuthOptions | undefined): readonly string[] {
  switch (auth?.kind) {
    case undefined:
      return [];
    case 'basic':
      return ['basic', auth.user, auth.password];
    case 'query':
      return ['query', ...auth.parameters.flat()];
    case 'oauth2':
      return ['oauth2', auth.tokenUrl, auth.clientId, auth.scope ?? '', auth.audience ?? ''];
  }
}
