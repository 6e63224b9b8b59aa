import { ProxyError, type Sent } from '../../proxy/errors.ts';
import type { Relay } from '../../proxy/pipeline.ts';
import { TimeLimit } from '../../proxy/time-limit.ts';
import type { Clock } from '../../runtime/clock.ts';

/**
 * Ends a call without a head at its deadline, waits included, with `deadline_exceeded`. The time in which a client is slow with its
 * upload does not count. The body has no deadline.
 */
export function deadline(clock: Clock): Relay {
  return {
    relay: (next) => (call, attempt, receiver) => {
      if (attempt.deadline === Infinity) return next(call, attempt, receiver);
      const ms = attempt.deadline - clock.now();
      if (ms <= 0) return receiver.failed(exceeded('not_sent'));
      const limit = new TimeLimit(receiver, attempt.signal, call.body, {
        clock,
        ms,
        error: exceededAfterward,
      });
      next(call, attempt, limit);
    },
  };
}

const exceededAfterward = (): ProxyError => exceeded('sent_unknown');

function exceeded(sent: Sent): ProxyError {
  return new ProxyError('deadline_exceeded', 'no response headers before the deadline', { sent });
}
