import type { Credential } from '../proxy/credential.ts';
import { withAuthorization } from './authorization.ts';
import type { BasicOptions } from './options.ts';

/** HTTP Basic (RFC 7617), in UTF-8. */
export function basicCredential({ user, password }: BasicOptions): Credential {
  const value = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  return { authorize: (call) => withAuthorization(call, value) };
}
