import type { Abort } from '../runtime/abort.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { microtasksDrained } from '../runtime/microtasks.ts';
import { EventHeap } from './event-heap.ts';

/** What a simulation's clock says when it starts: any date does, as long as it is always the same. */
const EPOCH_MS = Date.UTC(2026, 0, 1);

/**
 * Time that jumps from one event to the next and stands still while code runs. Between two events everything that
 * waits only for promises runs to its end, so the same events in the same order always give the same result.
 */
export class VirtualClock implements Clock {
  readonly #events = new EventHeap();
  #now = 0;

  now(): number {
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

  timer(ms: number, callback: () => void): Timer {
    const event = this.#events.push(this.#now + Math.max(0, ms), callback);
    return {
      cancel: () => {
        event.callback = undefined;
      },
    };
  }

  /** Runs until nothing is left to happen up to and including `until`; what would come later is dropped. */
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
