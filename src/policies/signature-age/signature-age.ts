import type { Call } from '../../proxy/call.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { Hook } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';

/** The two parts of one policy: outside all waits, and inside them. */
export interface SignatureAgePolicies {
  /** Sets the moment from which on the call must not be sent. */
  readonly outer: Hook;
  /** Refuses the call from that moment on. */
  readonly inner: Hook;
}

/**
 * For calls with a signature that is valid for some minutes. No attempt leaves `maxAgeMs` or more after the call arrived,
 * whether it waited for a retry, its quota or a permit. The upstream would refuse it with a misleading reason, such as a wrong
 * clock or a replayed request. Throws `signature_age`.
 */
export function signatureAgePolicies(maxAgeMs: number, clock: Clock): SignatureAgePolicies {
  return {
    outer: {
      before(_call, attempt) {
        attempt.signatureExpiresAt = clock.real() + maxAgeMs;
        return undefined;
      },
    },
    inner: {
      before(call, attempt) {
        const { signatureExpiresAt } = attempt;
        if (signatureExpiresAt !== undefined && clock.real() >= signatureExpiresAt)
          throw tooOld(call, maxAgeMs);
        return undefined;
      },
    },
  };
}

function tooOld(call: Call, maxAgeMs: number): ProxyError {
  call.journal.note('rejected', 'signature_age');
  const message = `the request waited ${Math.round(maxAgeMs / 1_000)} s, so its signature may have expired; sign it again`;
  return new ProxyError('signature_age', message);
}
