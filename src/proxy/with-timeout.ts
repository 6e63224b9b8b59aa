import type { Reply } from '../http/reply.ts';
import { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
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
 * Sends `call` under a signal of its own that aborts when there is no head after `ms`. The head stops the clock;
 * the signal follows the call's own until the body has ended, so that a client who leaves in the body is still heard.
 * Relies on `next` to reject as soon as its signal aborts, as every Send must.
 */
export async function withTimeout(next: Send, call: Call, { clock, ms, error }: Timeout): Promise<Reply> {
  const signal = new Abort(call.signal);
  const timer = clock.timer(ms, () => signal.abort(error()));
  try {
    const reply = await next({ ...call, signal });
    reply.body.onEnd(() => signal.detach());
    return reply;
  } catch (failure) {
    signal.detach();
    throw failure;
  } finally {
    timer.cancel();
  }
}
