import type { Credential } from '../proxy/credential.ts';
import { basicCredential } from './basic.ts';
import type { AuthOptions } from './options.ts';
import { queryCredential } from './query.ts';

/** The credential for these options. */
export function credentialOf(auth: AuthOptions): Credential {
  switch (auth.kind) {
    case 'basic':
      return basicCredential(auth);
    case 'query':
      return queryCredential(auth);
  }
}
