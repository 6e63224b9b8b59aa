import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { Policy } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';

/** Two ends of one thing: outside all that waits, and inside it. */
export interface SignedPolicies {
  /** Notes until when the call may be sent. */
  readonly admission: Policy;
  /** Refuses it from then on. */
  readonly departure: Policy;
}

/**
 * For calls whose signature holds only for some minutes: no attempt leaves `maxAgeMs` or more after the call came in,
 * however long it waited for a retry, its quota or a permit. Sent all the same it would be refused there, for a reason
 * (a clock that is wrong, a request that was replayed) that has nothing to do with what went wrong.
 */
export function signedPolicies(maxAgeMs: number, clock: Clock): SignedPolicies {
  return {
    admission: (next) => (call, attempt) => {
      attempt.sendBefore = clock.now() + maxAgeMs;
      return next(call, attempt);
    },
    departure: (next) => async (call, attempt) => {
      if (clock.now() >= attempt.sendBefore) throw tooOld(call, maxAgeMs);
      return next(call, attempt);
    },
  };
}

function tooOld(call: Call, maxAgeMs: number): ProxyError {
  call.journal.note('rejected', 'signature_age');
  const message = `the request waited ${Math.round(maxAgeMs / 1_000)} s, so its signature may have expired; sign it again`;
  return new ProxyError('signature_age', message);
}
