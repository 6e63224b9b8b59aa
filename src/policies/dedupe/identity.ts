import { createHash, createHmac } from 'node:crypto';
import { type CredentialNames, framed } from '../../http/credentials.ts';
import type { Call } from '../../proxy/call.ts';
import type { Identity } from './store.ts';

interface CallerIdentity {
  readonly secret: Buffer;
  readonly names: CredentialNames;
  readonly account?: readonly string[];
}

/**
 * Identifies the operation of a request and its payload. Callers are distinguished by credentials and accounts, hashed with
 * `secret`, so that no credential is stored. Callers with the same credentials share their keys, as they do at the upstream.
 */
export function identityOf(
  call: Call,
  body: readonly Buffer[],
  { secret, names, account = [] }: CallerIdentity,
): Identity {
  const caller = createHmac('sha256', secret);
  for (const text of framed([call.idempotencyKey ?? '', ...account, ...names.lastingIdentityOf(call)]))
    caller.update(text);
  const payload = createHash('sha256');
  for (const text of framed([call.method, call.target])) payload.update(text);
  for (const chunk of body) payload.update(chunk);
  return { id: caller.digest('base64'), payload: payload.digest('base64') };
}
