import { performance } from 'node:perf_hooks';
import type { Abort } from './abort.ts';

/** The time of the proxy. Every wait and every timestamp uses it. */
export interface Clock {
  /**
   * Milliseconds since an arbitrary point; never goes backwards. It does not advance while the process is stalled (stopped,
   * swapped out, or blocked), because neither upstream nor client caused that time.
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

/** Node's timers overflow to 1 ms beyond this (2³¹−1 ms, 24.8 days). */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The time is read at least this often, so that a stall is not taken for a quiet time. */
const BEAT_MS = 500;

/** A longer gap between two reads is a stall. A busy machine may be late by some hundred milliseconds. */
const STALL_MS = BEAT_MS + 1_000;

/** Time without stalls. `read` gives real milliseconds, and is called at least every `BEAT_MS` unless the process is stalled. */
export class AwakeTime {
  readonly #read: () => number;
  #seenAt: number;
  #asleepMs = 0;
  /** Number of stalls. */
  stalls = 0;

  constructor(read: () => number) {
    this.#read = read;
    this.#seenAt = read();
  }

  now(): number {
    const at = this.#read();
    const gapMs = at - this.#seenAt;
    // One beat counts as awake, because the stall may have begun at its end. So the time never goes backwards.
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

/** Starts the regular reads, with the first timer: without a timer, nothing can be late. */
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

/** Node's timers may fire this much too early. */
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
    // No unref: it costs two calls into libuv for each timer, and the process ends by `exit`.
    this.#timeout = setTimeout(fire, waitMs, this);
  }

  cancel(): void {
    this.#cancelled = true;
    clearTimeout(this.#timeout);
  }

  /** Node runs timers before it reads sockets. After a stall, sockets are read first, and then the rest of the time is waited. */
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
