import { createHash, createHmac } from 'node:crypto';
import type { Call } from '../../proxy/call.ts';
import { callerFields, framed } from '../../proxy/caller.ts';
import type { Identity } from './store.ts';

/** Made anew for each message: it tells of nobody, and a repeat that is signed anew is a repeat all the same. */
const PER_MESSAGE = /signature|timestamp|nonce/;

/**
 * Whose operation this is and what it does. Callers are told apart by their credentials and accounts, under `secret`, so that
 * nothing that is kept says what these were; two that share them share their keys, as they do at the upstream.
 */
export function identityOf(call: Call, body: readonly Buffer[], secret: Buffer): Identity {
  const caller = createHmac('sha256', secret);
  const fields = callerFields(call);
  const whose = fields.filter((_text, i) => !PER_MESSAGE.test(fields[i - (i % 2)] as string));
  for (const text of framed([call.idempotencyKey ?? '', ...whose])) caller.update(text);
  const payload = createHash('sha256');
  for (const text of framed([call.method, call.target])) payload.update(text);
  for (const chunk of body) payload.update(chunk);
  return { id: caller.digest('base64'), payload: payload.digest('base64') };
}
