import type { Reply } from '../http/reply.ts';
import type { ProxyError } from './errors.ts';

/** The result of one attempt as a value, so that a policy can decide before it throws. */
export type Outcome =
  | { readonly kind: 'reply'; readonly reply: Reply }
  | { readonly kind: 'error'; readonly error: ProxyError };
