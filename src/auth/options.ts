import type { AwsKeys } from './aws.ts';
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

/** AWS Signature Version 4. */
export interface Sigv4Options {
  readonly kind: 'sigv4';
  readonly service: string;
  readonly region: string;
  readonly keys: WrittenKeys | ContainerKeys;
}

interface WrittenKeys extends AwsKeys {
  readonly from: 'configuration';
}

/** Temporary keys, from the credential address of a container. */
interface ContainerKeys {
  readonly from: 'container';
  readonly url: string;
  /** For the Authorization of its requests. */
  readonly token: string | undefined;
}

/** A credential that the proxy adds to the calls of a route. */
export type AuthOptions = BasicOptions | QueryOptions | OAuth2Options | Sigv4Options;

/** The parameters of a presigned URL. */
const PRESIGNED: ReadonlySet<string> = new Set(
  ['Algorithm', 'Credential', 'Date', 'Expires', 'SignedHeaders', 'Signature', 'Security-Token'].map(
    (name) => `X-Amz-${name}`,
  ),
);

const NONE: ReadonlySet<string> = new Set();

export function replacedBy(auth: AuthOptions): ReplacedParts {
  switch (auth.kind) {
    case 'basic':
    case 'oauth2':
      return { headers: ['authorization'], parameters: NONE };
    case 'sigv4':
      return { headers: ['authorization', 'x-amz-date', 'x-amz-security-token'], parameters: PRESIGNED };
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
    case 'sigv4':
      return ['sigv4', auth.keys.from === 'container' ? auth.keys.url : auth.keys.accessKeyId];
    case 'oauth2':
      return ['oauth2', auth.tokenUrl, auth.clientId, auth.scope ?? '', auth.audience ?? ''];
  }
}
