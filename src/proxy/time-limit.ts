import type { RequestBody } from '../http/bodies/request-body.ts';
import type { Reply } from '../http/reply.ts';
import { Abort } from '../runtime/abort.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import type { ProxyError } from './errors.ts';
import type { Dispatch, Receiver } from './pipeline.ts';

export interface Timeout {
  readonly clock: Clock;
  readonly ms: number;
  /** Called only when the time is over. */
  readonly error: () => ProxyError;
}

/**
 * Aborts `signal` if no head has arrived after some time. The time counts from the last progress of `body`, the client's upload,
 * because a slow client is not a slow upstream.
 */
export class TimeLimit implements Receiver {
  readonly #receiver: Receiver;
  readonly #signal: Abort;
  readonly #body: RequestBody;
  readonly #timeout: Timeout;
  #timer: Timer;

  constructor(receiver: Receiver, signal: Abort, body: RequestBody, timeout: Timeout) {
    this.#receiver = receiver;
    this.#signal = signal;
    this.#body = body;
    this.#timeout = timeout;
    this.#timer = timeout.clock.timer(timeout.ms, this);
  }

  replied(reply: Reply): void {
    this.#timer.cancel();
    this.#receiver.replied(reply);
  }

  failed(error: unknown): void {
    this.#timer.cancel();
    this.#receiver.failed(error);
  }

  onTime(): void {
    const { clock, ms, error } = this.#timeout;
    const now = clock.now();
    const left = this.#body.broughtOnAt(now) + ms - now;
    if (left > 0) this.#timer = clock.timer(left, this);
    else this.#signal.abort(error());
  }
}

/** Sends each attempt with a signal of its own, which aborts when the time is over. The signal of the call does not. */
export function sendWithin(timeout: Timeout, next: Dispatch): Dispatch {
  return (call, attempt, receiver) => {
    const signal = new Abort(attempt.signal);
    const limit = new TimeLimit(receiver, signal, attempt.bodyOf(call), timeout);
    next(call, attempt.endedBy(signal), limit);
  };
}
