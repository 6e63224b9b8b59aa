import type { Reply } from '../http/reply.ts';
import type { Call } from './call.ts';
import { ProxyError } from './errors.ts';
import type { Send } from './pipeline.ts';

/** What came of one attempt, as a value, so that a policy can decide before it throws. */
export type Outcome =
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'error'; readonly error: ProxyError };

export async function settle(send: Send, call: Call): Promise<Outcome> {
  try {
    return { kind: 'reply', reply: await send(call) };
  } catch (error) {
    if (error instanceof ProxyError) return { kind: 'error', error };
    throw error; // a bug, not an outcome
  }
}

export function unwrap(outcome: Outcome): Reply {
  if (outcome.kind === 'error') throw outcome.error;
  return outcome.reply;
}
