import { performance } from 'node:perf_hooks';
import type { Abort } from './abort.ts';

/** Time as the proxy sees it. Every wait and every timestamp goes through here. */
export interface Clock {
  /**
   * Milliseconds since an arbitrary point; never goes backwards. While the process stands still (stopped, swapped out, or
   * busy with one thing) this time stands still too: that time is the fault of no upstream and no client.
   */
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

/** Time is looked at this often at least, so that a stall can be told from a quiet time. */
const BEAT_MS = 500;

/** After a longer time without a look, the process stood still. A busy machine may be late by some hundred milliseconds. */
const STALL_MS = BEAT_MS + 1_000;

/** Time without the stalls. `read` gives real milliseconds, and is called at least every `BEAT_MS` unless all stands still. */
export class AwakeTime {
  readonly #read: () => number;
  #seenAt: number;
  #asleepMs = 0;
  /** How many times the process stood still. */
  stalls = 0;

  constructor(read: () => number) {
    this.#read = read;
    this.#seenAt = read();
  }

  now(): number {
    const at = this.#read();
    const gapMs = at - this.#seenAt;
    // A beat is counted as awake, because the stall may have begun at its end; so this never goes backwards.
    if (gapMs > STALL_MS) {
      this.stalls++;
      this.#asleepMs += gapMs - BEAT_MS;
    }
    this.#seenAt = at;
    return at - this.#asleepMs;
  }
}

const awake = new AwakeTime(() => performance.now());
let beating = false;

/** Begins with the first timer: without one, nothing can be late. */
function beat(): void {
  if (beating) return;
  beating = true;
  setInterval(() => awake.now(), BEAT_MS).unref();
}

export const systemClock: Clock = {
  now: () => awake.now(),
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
  beat();
  return new SystemTimer(ms, callback);
}

/** Node fires up to this much early. */
const EARLY_MS = 1;

class SystemTimer implements Timer {
  readonly #callback: () => void;
  readonly #dueAt: number;
  #timeout: NodeJS.Timeout;
  #stalls: number;
  #cancelled = false;

  constructor(ms: number, callback: () => void) {
    const waitMs = Math.min(ms, MAX_TIMER_MS);
    this.#callback = callback;
    this.#dueAt = awake.now() + waitMs;
    this.#stalls = awake.stalls;
    // Not unref'd: that is two calls into libuv for each timer of each call, and a proxy ends by `exit` anyway.
    this.#timeout = setTimeout(fire, waitMs, this);
  }

  cancel(): void {
    this.#cancelled = true;
    clearTimeout(this.#timeout);
  }

  /** Node runs timers before it reads sockets. After a stall, what has come in is read first, and the rest of the time is waited for. */
  fire(): void {
    if (this.#cancelled) return;
    const leftMs = this.#dueAt - awake.now();
    if (this.#stalls !== awake.stalls) {
      this.#stalls = awake.stalls;
      setImmediate(fire, this);
      return;
    }
    if (leftMs > EARLY_MS) this.#timeout = setTimeout(fire, leftMs, this);
    else this.#callback();
  }
}

const fire = (timer: SystemTimer): void => timer.fire();
