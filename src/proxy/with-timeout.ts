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
  /** Made only when time is up. */
  readonly error: () => ProxyError;
}

/**
 * Sends `attempt` under a signal of its own that aborts when there is no head after `ms`, counted from the moment when the
 * client last brought its upload on: how fast it sends is not the upstream's doing. The head stops the clock; the signal follows the call's own until the body has ended, so that a client who leaves in the body is still heard.
 * Relies on `next` to reject as soon as its signal aborts, as every Send must.
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
    const reply = await next(call, attempt.with({ signal }));
    reply.body.onEnd(() => signal.detach());
    return reply;
  } catch (failure) {
    signal.detach();
    throw failure;
  } finally {
    timer.cancel();
  }

  function onTime(): void {
    const now = clock.now();
    const left = call.body.broughtOnAt(now) + ms - now;
    if (left > 0) timer = clock.timer(left, onTime);
    else signal.abort(error());
  }
}
