import type { Call } from '../../proxy/call.ts';
import { ProxyError, type Sent } from '../../proxy/errors.ts';
import type { Policy, Send } from '../../proxy/pipeline.ts';
import { withTimeout } from '../../proxy/with-timeout.ts';
import type { Clock } from '../../runtime/clock.ts';

/** Ends a call that has no head at its deadline, waits included. After the head the body may take its time. */
export function deadline(clock: Clock): Policy {
  return (next: Send) => (call: Call) => {
    if (call.deadline === Infinity) return next(call);
    const ms = call.deadline - clock.now();
    if (ms <= 0) return Promise.reject(exceeded('not_sent'));
    return withTimeout(next, call, { clock, ms, error: () => exceeded('sent_unknown') });
  };
}

function exceeded(sent: Sent): ProxyError {
  return new ProxyError('deadline_exceeded', 'no head before the deadline', { sent });
}
