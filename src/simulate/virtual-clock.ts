import type { Abort } from '../runtime/abort.ts';
import { type Clock, tellTime, type Timer, type TimerListener } from '../runtime/clock.ts';
import { microtasksDrained } from '../runtime/microtasks.ts';
import { EventHeap } from './event-heap.ts';

/** Start of the clock of a simulation: any fixed date. */
const EPOCH_MS = Date.UTC(2026, 0, 1);

/**
 * A clock that jumps from one event to the next and does not advance while code runs. Between two events, all code that waits
 * only for promises runs to its end. So the same events in the same order always give the same result.
 */
export class VirtualClock implements Clock {
  readonly #events = new EventHeap();
  #now = 0;

  now(): number {
    return this.#now;
  }

  real(): number {
    return this.#now;
  }

  wallTime(): number {
    return EPOCH_MS + this.#now;
  }

  sleep(ms: number, signal: Abort): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const cancel = () => {
        timer.cancel();
        reject(signal.reason);
      };
      const timer = this.timer(ms, () => {
        signal.off(cancel);
        resolve();
      });
      signal.on(cancel);
    });
  }

  timer(ms: number, listener: TimerListener): Timer {
    const event = this.#events.push(this.#now + Math.max(0, ms), () => tellTime(listener));
    return {
      cancel: () => {
        event.callback = undefined;
      },
    };
  }

  /** Runs all events up to and including `until`; later ones are dropped. */
  async run(until: number): Promise<void> {
    await microtasksDrained();
    for (
      let event = this.#events.pop();
      event !== undefined && event.at <= until;
      event = this.#events.pop()
    ) {
      const { callback } = event;
      if (callback === undefined) continue;
      this.#now = event.at;
      callback();
      await microtasksDrained();
    }
  }
}
