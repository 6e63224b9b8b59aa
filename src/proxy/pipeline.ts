import type { Reply } from '../http/reply.ts';
import type { Attempt } from './attempt.ts';
import type { Call } from './call.ts';
import { ProxyError } from './errors.ts';

/** Sends a call onward. Resolves when the head of the reply has arrived. Rejects with a ProxyError; any other error is a bug. */
export type Send = (call: Call, attempt: Attempt) => Promise<Reply>;

/** One behaviour, wrapped around all policies closer to the upstream. Built once per route. */
export type Policy = (next: Send) => Send;

/** Builds a route's pipeline. The first policy is outermost: it sees the call first and the reply last. */
export function compose(policies: readonly Policy[], upstream: Send): Send {
  return policies.reduceRight((next, policy) => policy(next), upstream);
}

/** The result of one attempt as a value, so that a policy can decide before it throws. */
export type Outcome =
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'error'; readonly error: ProxyError };

export async function settle(send: Send, call: Call, attempt: Attempt): Promise<Outcome> {
  try {
    return { kind: 'reply', reply: await send(call, attempt) };
  } catch (error) {
    if (error instanceof ProxyError) return { kind: 'error', error };
    throw error; // a bug, not an outcome
  }
}

export function unwrap(outcome: Outcome): Reply {
  if (outcome.kind === 'error') throw outcome.error;
  return outcome.reply;
}
