import type { Reply } from '../http/reply.ts';
import { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Attempt } from './attempt.ts';
import type { Call } from './call.ts';
import type { ProxyError } from './errors.ts';
import type { Send } from './pipeline.ts';

export interface Timeout {
  readonly clock: Clock;
  readonly ms: number;
  /** Called only when the time is over. */
  readonly error: () => ProxyError;
}

/**
 * Sends `attempt` with a signal of its own, which aborts with `error` if there is no head after `ms`. The time counts from the
 * last progress of the client's upload, because a slow client is not a slow upstream. `next` must reject as soon as its signal
 * aborts, as every Send does.
 */
export async function withTimeout(
  next: Send,
  call: Call,
  attempt: Attempt,
  { clock, ms, error }: Timeout,
): Promise<Reply> {
  const signal = new Abort(attempt.signal);
  let timer = clock.timer(ms, onTime);
  try {
    return await next(call, attempt.with({ signal }));
  } finally {
    timer.cancel();
  }

  function onTime(): void {
    const now = clock.now();
    const left = attempt.bodyOf(call).broughtOnAt(now) + ms - now;
    if (left > 0) timer = clock.timer(left, onTime);
    else signal.abort(error());
  }
}
