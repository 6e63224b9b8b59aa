import type { Attempt } from '../../proxy/attempt.ts';
import type { Call } from '../../proxy/call.ts';
import { ProxyError, type Sent } from '../../proxy/errors.ts';
import type { After, Hook } from '../../proxy/pipeline.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';

/**
 * Ends a call without a head at its deadline, waits included, with `deadline_exceeded`. The time counts from the last progress of
 * the client's upload, because a slow client is not a slow upstream. The body has no deadline.
 */
export function deadline(clock: Clock): Hook {
  return {
    before(call, attempt) {
      if (attempt.deadline === Infinity) return undefined;
      const ms = attempt.deadline - clock.now();
      if (ms <= 0) throw exceeded('not_sent');
      return new Deadline(call, attempt, { clock, ms });
    },
  };
}

class Deadline implements After {
  readonly #call: Call;
  readonly #attempt: Attempt;
  readonly #clock: Clock;
  readonly #ms: number;
  #timer: Timer;

  constructor(call: Call, attempt: Attempt, { clock, ms }: { readonly clock: Clock; readonly ms: number }) {
    this.#call = call;
    this.#attempt = attempt;
    this.#clock = clock;
    this.#ms = ms;
    this.#timer = this.#wait(ms);
  }

  replied(): void {
    this.#timer.cancel();
  }

  failed(): void {
    this.#timer.cancel();
  }

  #wait(ms: number): Timer {
    return this.#clock.timer(ms, () => this.#onTime());
  }

  #onTime(): void {
    const now = this.#clock.now();
    const left = this.#call.body.broughtOnAt(now) + this.#ms - now;
    if (left > 0) this.#timer = this.#wait(left);
    else this.#attempt.signal.abort(exceeded('sent_unknown'));
  }
}

function exceeded(sent: Sent): ProxyError {
  return new ProxyError('deadline_exceeded', 'no response headers before the deadline', { sent });
}
