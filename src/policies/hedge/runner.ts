import type { Reply } from '../../http/reply.ts';
import type { Attempt, StartListener } from '../../proxy/attempt.ts';
import { ProxyError } from '../../proxy/errors.ts';
import type { Outcome, Receiver } from '../../proxy/pipeline.ts';
import type { Clock } from '../../runtime/clock.ts';

/** The race that an attempt takes part in. */
export interface RunnerOwner {
  arrived(runner: Runner, outcome: Outcome): void;
  /** A bug in this proxy has ended the attempt. */
  broke(runner: Runner, bug: unknown): void;
}

/** An attempt with its start time. Time in this proxy's queues does not count, because a second attempt would not shorten it. */
export class Runner implements Receiver, StartListener {
  readonly attempt: Attempt;
  readonly #owner: RunnerOwner;
  readonly #clock: Clock;
  #startedAt: number | undefined;

  constructor(owner: RunnerOwner, attempt: Attempt, clock: Clock) {
    this.#owner = owner;
    this.#clock = clock;
    this.attempt = attempt;
    attempt.startListener = this;
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

  started(): void {
    this.#startedAt ??= this.#clock.now();
  }

  replied(reply: Reply): void {
    this.#owner.arrived(this, { kind: 'reply', reply });
  }

  failed(error: unknown): void {
    if (error instanceof ProxyError) this.#owner.arrived(this, { kind: 'error', error });
    else this.#owner.broke(this, error);
  }
}
