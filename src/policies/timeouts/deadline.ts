import { ProxyError, type Sent } from '../../proxy/errors.ts';
import type { Policy } from '../../proxy/pipeline.ts';
import { withTimeout } from '../../proxy/with-timeout.ts';
import type { Clock } from '../../runtime/clock.ts';

/** Ends a call without a head at its deadline, waits included, with `deadline_exceeded`. The body has no deadline. */
export function deadline(clock: Clock): Policy {
  return (next) => (call, attempt) => {
    if (attempt.deadline === Infinity) return next(call, attempt);
    const ms = attempt.deadline - clock.now();
    if (ms <= 0) return Promise.reject(exceeded('not_sent'));
    return withTimeout(next, call, attempt, { clock, ms, error: () => exceeded('sent_unknown') });
  };
}

function exceeded(sent: Sent): ProxyError {
  return new ProxyError('deadline_exceeded', 'no response headers before the deadline', { sent });
}
