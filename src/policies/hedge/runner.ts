import type { Call } from '../../proxy/call.ts';
import type { Clock } from '../../runtime/clock.ts';

/** An attempt whose start is noticed: the time in our own queues is nothing that a second attempt would shorten. */
export class Runner {
  readonly call: Call;
  readonly #clock: Clock;
  #startedAt: number | undefined;

  constructor(call: Call, clock: Clock) {
    this.#clock = clock;
    this.call = {
      ...call,
      // None of its own: what it sends is counted by whoever runs it.
      tally: undefined,
      onStart: () => {
        this.#startedAt ??= clock.now();
      },
    };
  }

  /** Undefined while it waits for its turn. */
  get startedAt(): number | undefined {
    return this.#startedAt;
  }

  /** Since it really started; 0 before. */
  get elapsedMs(): number {
    const now = this.#clock.now();
    return now - (this.#startedAt ?? now);
  }
}
