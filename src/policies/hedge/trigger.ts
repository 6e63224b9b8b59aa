import type { AttemptWatch } from '../../proxy/attempt-watch.ts';
import type { Call } from '../../proxy/call.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import type { Runner, StartListener } from './runner.ts';
import { lookAgainMs, REFUSED_MS } from './stuck.ts';

/** An attempt that is alone, and may get a second one beside it. */
export interface Alone {
  readonly call: Call;
  readonly first: Runner;
  /** Sends the second attempt, once the first has taken `afterMs`. False: it may not be sent now. */
  startSecond(afterMs: number): boolean;
}

/** Says when the second attempt is due; `cancel` ends that. */
export interface Trigger extends StartListener, Timer {}

/**
 * Once: after `ms` from the start of the first attempt, or from when the client last brought its upload on, because a slow
 * upload is not a slow upstream.
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

  started(): void {}

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

/** When the first attempt is stuck, and again after each refusal. It costs no timer before the attempt is suspected to hang. */
export class StuckTrigger implements Trigger {
  readonly #alone: Alone;
  readonly #clock: Clock;
  #timer: Timer | undefined;

  constructor(alone: Alone, clock: Clock) {
    this.#alone = alone;
    this.#clock = clock;
  }

  started(watch: AttemptWatch | undefined): void {
    watch?.onSuspected(() => this.#look(watch));
  }

  cancel(): void {
    this.#timer?.cancel();
  }

  #look(watch: AttemptWatch): void {
    const silentMs = watch.silentMs(this.#clock.now());
    const againMs = lookAgainMs({ silentMs, overtaken: watch.overtakenByItsKind, ...watch.expectation });
    if (againMs > 0) this.#wait(againMs, watch);
    else if (!this.#alone.startSecond(silentMs)) this.#wait(REFUSED_MS, watch);
  }

  #wait(ms: number, watch: AttemptWatch): void {
    this.#timer = this.#clock.timer(ms, () => this.#look(watch));
  }
}
