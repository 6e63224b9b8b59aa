import type { Attempt } from '../../proxy/attempt.ts';
import type { AttemptWatch } from '../../proxy/attempt-watch.ts';
import type { Clock } from '../../runtime/clock.ts';

/** Called when an attempt leaves. */
export interface StartListener {
  started(watch: AttemptWatch | undefined): void;
}

/** An attempt with its start time. Time in this proxy's queues does not count, because a second attempt would not shorten it. */
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
      // A runner has no hedges of its own. The race counts its attempts.
      tally: undefined,
      onStart: (watch) => {
        this.#startedAt ??= clock.now();
        this.listener?.started(watch);
      },
    });
  }

  /** Undefined while it waits in a queue. */
  get startedAt(): number | undefined {
    return this.#startedAt;
  }

  /** Milliseconds since it left; 0 before. */
  get elapsedMs(): number {
    const now = this.#clock.now();
    return now - (this.#startedAt ?? now);
  }
}
