import type { Attempt } from '../../proxy/attempt.ts';
import type { AttemptWatch } from '../../proxy/attempt-watch.ts';
import type { Clock } from '../../runtime/clock.ts';

/** Told when an attempt leaves. */
export interface StartListener {
  started(watch: AttemptWatch | undefined): void;
}

/** An attempt whose start is noticed: the time in our own queues is nothing that a second attempt would shorten. */
export class Runner {
  readonly attempt: Attempt;
  listener: StartListener | undefined;
  readonly #clock: Clock;
  #startedAt: number | undefined;

  constructor(attempt: Attempt, clock: Clock, number = attempt.number, signal = attempt.signal) {
    this.#clock = clock;
    this.attempt = attempt.with({
      number,
      signal,
      // A runner has no hedges of its own. The race counts what it sends.
      tally: undefined,
      onStart: (watch) => {
        this.#startedAt ??= clock.now();
        this.listener?.started(watch);
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
