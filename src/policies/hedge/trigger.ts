import type { AttemptWatch } from '../../proxy/attempt-watch.ts';
import type { Call } from '../../proxy/call.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Runner } from './runner.ts';
import { lookAgainMs, REFUSED_MS } from './stuck.ts';

/** A single attempt that may get a second one. */
export interface Alone {
  readonly call: Call;
  readonly first: Runner;
  /** Sends the second attempt, after `afterMs` of the first. False: it may not be sent now. */
  startSecond(afterMs: number): boolean;
}

/** Starts the second attempt when it is due, until `cancel`. */
export interface Trigger extends Timer {
  /** Call if this proxy refused the second attempt after its start, so that it was not sent. */
  refused(): void;
}

/** Starts no second attempt. */
export const NEVER: Trigger = { refused: () => undefined, cancel: () => undefined };

/**
 * Fires once: `ms` after the start of the first attempt, or after the last progress of the client's upload. A slow upload is not a
 * slow upstream.
 */
export class SlowTrigger implements Trigger {
  readonly #alone: Alone;
  readonly #clock: Clock;
  readonly #ms: number;
  #timer: Timer;

  constructor(alone: Alone, clock: Clock, ms: number) {
    this.#alone = alone;
    this.#clock = clock;
    this.#ms = ms;
    this.#timer = this.#wait(ms);
  }

  refused(): void {}

  cancel(): void {
    this.#timer.cancel();
  }

  #wait(delayMs: number): Timer {
    return this.#clock.timer(delayMs, () => {
      const { call, first } = this.#alone;
      const now = this.#clock.now();
      const since = Math.max(first.startedAt ?? now, call.body.broughtOnAt(now));
      const left = since + this.#ms - now;
      if (left > 0) this.#timer = this.#wait(left);
      else this.#alone.startSecond(this.#ms);
    });
  }
}

/** Fires when the first attempt, which seems to hang, is stuck, and again after each refusal. */
export class StuckTrigger implements Trigger {
  readonly #alone: Alone;
  readonly #watch: AttemptWatch;
  readonly #clock: Clock;
  #timer: Timer | undefined;

  constructor(alone: Alone, watch: AttemptWatch, clock: Clock) {
    this.#alone = alone;
    this.#watch = watch;
    this.#clock = clock;
  }

  refused(): void {
    this.#wait(REFUSED_MS);
  }

  cancel(): void {
    this.#timer?.cancel();
  }

  /** Starts the second attempt if it is due, else looks again later. */
  look(): void {
    const watch = this.#watch;
    const silentMs = watch.silentMs(this.#clock.now());
    const againMs = lookAgainMs({ silentMs, overtaken: watch.overtakenByItsKind, ...watch.expectation });
    if (againMs > 0) this.#wait(againMs);
    else if (!this.#alone.startSecond(silentMs)) this.#wait(REFUSED_MS);
  }

  #wait(ms: number): void {
    this.#timer = this.#clock.timer(ms, () => this.look());
  }
}
