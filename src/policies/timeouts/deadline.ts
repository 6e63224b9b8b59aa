import type { RequestBody } from '../../http/bodies/request-body.ts';
import type { Reply } from '../../http/reply.ts';
import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError, type Sent } from '../../proxy/errors.ts';
import type { Receiver, Relay } from '../../proxy/pipeline.ts';
import type { Abort } from '../../runtime/abort.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';

/**
 * Ends a call without a head at its deadline, waits included, with `deadline_exceeded`. The time counts from the last progress of
 * the client's upload, because a slow client is not a slow upstream. The body has no deadline.
 */
export function deadline(clock: Clock): Relay {
  return {
    relay: (next) => (call, attempt, receiver) => {
      if (attempt.deadline === Infinity) return next(call, attempt, receiver);
      const ms = attempt.deadline - clock.now();
      if (ms <= 0) return receiver.failed(exceeded('not_sent'));
      next(call, attempt, new Deadline({ call, attempt, receiver }, clock, ms));
    },
  };
}

class Deadline implements Receiver {
  readonly #body: RequestBody;
  readonly #signal: Abort;
  readonly #receiver: Receiver;
  readonly #clock: Clock;
  readonly #ms: number;
  #timer: Timer;

  constructor(
    {
      call,
      attempt,
      receiver,
    }: { readonly call: Call; readonly attempt: Attempt; readonly receiver: Receiver },
    clock: Clock,
    ms: number,
  ) {
    this.#body = call.body;
    this.#signal = attempt.signal;
    this.#receiver = receiver;
    this.#clock = clock;
    this.#ms = ms;
    this.#timer = this.#wait(ms);
  }

  replied(reply: Reply): void {
    this.#timer.cancel();
    this.#receiver.replied(reply);
  }

  failed(error: unknown): void {
    this.#timer.cancel();
    this.#receiver.failed(error);
  }

  #wait(ms: number): Timer {
    return this.#clock.timer(ms, this);
  }

  onTime(): void {
    const now = this.#clock.now();
    const left = this.#body.broughtOnAt(now) + this.#ms - now;
    if (left > 0) this.#timer = this.#wait(left);
    else this.#signal.abort(exceeded('sent_unknown'));
  }
}

function exceeded(sent: Sent): ProxyError {
  return new ProxyError('deadline_exceeded', 'no response headers before the deadline', { sent });
}
