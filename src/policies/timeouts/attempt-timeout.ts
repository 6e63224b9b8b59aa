import { ProxyError } from '../../proxy/errors.ts';
import type { Relay } from '../../proxy/pipeline.ts';
import { sendWithin } from '../../proxy/time-limit.ts';
import type { Clock } from '../../runtime/clock.ts';

/** Ends an attempt without a head after `ms` milliseconds with `attempt_timeout`, the last attempt too. */
export function attemptTimeout(ms: number, clock: Clock): Relay {
  const error = () =>
    new ProxyError('attempt_timeout', `no response headers after ${ms} ms`, { sent: 'sent_unknown' });
  return { relay: (next) => sendWithin({ clock, ms, error }, next) };
}
