import { durableRefusal, type ProxyError } from '../proxy/errors.ts';
import type { Job, JobErrorCode, WaitReason } from './job.ts';

/** Consequence of an attempt that this proxy refused: the request waits and no attempt counts, or it ends. */
export type Refusal =
  | {
      readonly kind: 'wait';
      readonly reason: WaitReason;
      /** The wait if the refusal gives none; otherwise half of this is the shortest wait. */
      readonly comeBackMs: number;
    }
  | { readonly kind: 'end'; readonly code: JobErrorCode };

export type WaitRefusal = Extract<Refusal, { kind: 'wait' }>;

/** The request itself is at fault: a later attempt would be refused, too. */
const NEVER: Refusal = { kind: 'end', code: 'not_retryable' };

/** Wait until the next check, while an operator has to change something. */
const OPERATOR_MS = 60_000;

/** Consequence of an error with this code. Undefined: it was a failed attempt, which the retry rules classify. */
export function refusalOf(
  { code }: Pick<ProxyError, 'code'>,
  { kind }: Pick<Job, 'kind'> = { kind: 'request' },
): Refusal | undefined {
  const refusal = durableRefusal({ code });
  // A client chose the URL of a callback, so no operator is expected to allow its address.
  const forGood = kind === 'callback' && refusal?.kind === 'wait' && refusal.reason === 'address';
  return forGood ? NEVER : refusal;
}

/** The retry budget has no tokens for a further attempt. */
export const noBudget = (comeBackMs: number): WaitRefusal => ({ kind: 'wait', reason: 'budget', comeBackMs });

/** The stored credentials cannot be decrypted. Without them the upstream would refuse the request permanently. */
export const UNREADABLE_CREDENTIALS: WaitRefusal = {
  kind: 'wait',
  reason: 'credentials',
  comeBackMs: OPERATOR_MS,
};
