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

/** A credential that the proxy adds to the calls of a route. */
export type AuthOptions = BasicOptions | QueryOptions;

const NONE: ReadonlySet<string> = new Set();

export function replacedBy(auth: AuthOptions): ReplacedParts {
  switch (auth.kind) {
    case 'basic':
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
  }
}
