import type { Reply } from '../http/reply.ts';
import type { Call } from './call.ts';

/** Sends a call onward. Settles when the reply's head is here; rejects with a ProxyError (anything else is a bug). */
export type Send = (call: Call) => Promise<Reply>;

/** One behaviour wrapped around everything closer to the upstream. Built once per route. */
export type Policy = (next: Send) => Send;

/** Builds a route's pipeline. The first policy is outermost: it sees the call first and the reply last. */
export function compose(policies: readonly Policy[], upstream: Send): Send {
  return policies.reduceRight((next, policy) => policy(next), upstream);
}
