import { performance } from 'node:perf_hooks';
import type { Abort } from './abort.ts';

/** Time as the proxy sees it. Every wait and every timestamp goes through here. */
export interface Clock {
  /** Milliseconds since an arbitrary point; never goes backwards. */
  now(): number;
  /** Milliseconds since the Unix epoch; only for HTTP dates, logs and stored records. */
  wallTime(): number;
  /** Settles after `ms`, or rejects with `signal.reason` as soon as it aborts. */
  sleep(ms: number, signal: Abort): Promise<void>;
  /** Runs `callback` once after `ms` unless cancelled before. */
  timer(ms: number, callback: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

/** Node's timers overflow to 1 ms beyond this (2³¹−1 ms, 24.8 days); no wait in the proxy is meant to be longer. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  timer: startTimer,
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const cancel = () => {
        timer.cancel();
        reject(signal.reason);
      };
      const timer = startTimer(ms, () => {
        signal.off(cancel);
        resolve();
      });
      signal.on(cancel);
    }),
};

function startTimer(ms: number, callback: () => void): Timer {
  return new SystemTimer(ms, callback);
}

class SystemTimer implements Timer {
  readonly #timeout: NodeJS.Timeout;

  constructor(ms: number, callback: () => void) {
    // Not unref'd: that is two calls into libuv for each timer of each call, and a proxy ends by `exit` anyway.
    this.#timeout = setTimeout(callback, Math.min(ms, MAX_TIMER_MS));
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }
}
