import { ProxyError } from '../../proxy/errors.ts';
import type { Wrapper } from '../../proxy/pipeline.ts';
import { withTimeout } from '../../proxy/with-timeout.ts';
import type { Clock } from '../../runtime/clock.ts';

/** Ends an attempt without a head after `timeoutMs` milliseconds with `attempt_timeout`, the last attempt too. */
export function attemptTimeout(timeoutMs: number, clock: Clock): Wrapper {
  const timeout = { clock, ms: timeoutMs, error };
  return (next) => (call, attempt) => withTimeout(next, call, attempt, timeout);

  function error(): ProxyError {
    return new ProxyError('attempt_timeout', `no response headers after ${timeoutMs} ms`, {
      sent: 'sent_unknown',
    });
  }
}
