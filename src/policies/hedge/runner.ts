import type { Attempt } from '../../proxy/attempt.ts';
import type { Clock } from '../../runtime/clock.ts';

/** An attempt whose start is noticed: the time in our own queues is nothing that a second attempt would shorten. */
export class Runner {
  readonly attempt: Attempt;
  readonly #clock: Clock;
  #startedAt: number | undefined;

  constructor(attempt: Attempt, clock: Clock) {
    this.#clock = clock;
    this.attempt = attempt.with({
      // A runner has no hedges of its own. The race counts what it sends.
      tally: undefined,
      onStart: () => {
        this.#startedAt ??= clock.now();
      },
    });
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
