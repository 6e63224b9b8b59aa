import { performance } from 'node:perf_hooks';
import type { Abort } from './abort.ts';
import { type Due, DueQueue } from './due-queue.ts';
import { soon, type SoonTask } from './soon.ts';

/** The time of the proxy. Every wait and every timestamp uses it. */
export interface Clock {
  /**
   * Milliseconds since an arbitrary point; never goes backwards. It does not advance while the process is stalled (stopped,
   * swapped out, or blocked), because neither upstream nor client caused that time.
   */
  now(): number;
  /** Milliseconds since another arbitrary point, which go on during a stall: for the age of what another process has made. */
  real(): number;
  /** Milliseconds since the Unix epoch; only for HTTP dates, logs and stored records. */
  wallTime(): number;
  /** Settles after `ms`, or rejects with `signal.reason` as soon as it aborts. */
  sleep(ms: number, signal: Abort): Promise<void>;
  /** Calls `listener` once after `ms` unless cancelled before. */
  timer(ms: number, listener: TimerListener): Timer;
}

/** Learns that a time is over: a function, or an object without the cost of one. */
export type TimerListener = (() => void) | { onTime(): void };

export function tellTime(listener: TimerListener): void {
  if (typeof listener === 'function') listener();
  else listener.onTime();
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

/** Real milliseconds since an arbitrary point, which go on while the process is stopped: for what another process has lent. */
export const realTime = (): number => performance.now();

const awake = new AwakeTime(realTime);

/**
 * The time of the running callback of the event loop, which is read once. A call asks for it 25 times, and each answer would be a
 * number in memory. So it does not measure how long code runs: `realTime` does.
 */
class TurnTime implements SoonTask {
  #now: number | undefined;

  now(): number {
    if (this.#now === undefined) {
      this.#now = awake.now();
      soon(this);
    }
    return this.#now;
  }

  onSoon(): void {
    this.#now = undefined;
  }
}

const turn = new TurnTime();
let beating = false;

/** Starts the regular reads, with the first timer: without a timer, nothing can be late. */
function beat(): void {
  if (beating) return;
  beating = true;
  setInterval(() => awake.now(), BEAT_MS).unref();
}

export const systemClock: Clock = {
  now: () => turn.now(),
  real: realTime,
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

function startTimer(ms: number, listener: TimerListener): Timer {
  beat();
  return timers.start(ms, listener);
}

/** The timers of Node, or of a test. */
export interface TimerHost {
  setTimeout(callback: () => void, ms: number): NodeJS.Timeout;
  clearTimeout(timeout: NodeJS.Timeout | undefined): void;
  setImmediate(callback: () => void): void;
}

const node: TimerHost = { setTimeout, clearTimeout, setImmediate };

/** The timers of the process, on one timer of Node. Most are cancelled soon, and a timer of Node costs several objects. */
export class Timers {
  readonly #time: AwakeTime;
  readonly #host: TimerHost;
  readonly #queue = new DueQueue<SystemTimer>();
  #timeout: NodeJS.Timeout | undefined;
  /** When Node's timer fires; Infinity if it does not run. */
  #wakesAt = Number.POSITIVE_INFINITY;
  /** Stalls before the timer was set. */
  #stalls = 0;

  constructor(time: AwakeTime, host: TimerHost = node) {
    this.#time = time;
    this.#host = host;
  }

  start(ms: number, listener: TimerListener): Timer {
    const now = this.#time.now();
    // As for Node's timers, a time that is no number is over at once. It would stop all others here.
    const timer = new SystemTimer(this, now + (ms > 0 ? ms : 0), listener);
    this.#queue.add(timer);
    if (timer.dueAt < this.#wakesAt) this.#wakeAt(timer.dueAt, now);
    else if (this.#queue.size === 1) this.#timeout?.ref();
    return timer;
  }

  /** Without a timer, Node's does not keep the process alive. It stays, because the next call needs it again. */
  cancel(timer: SystemTimer): void {
    this.#queue.remove(timer);
    if (this.#queue.size === 0) this.#timeout?.unref();
  }

  #wakeAt(at: number, now: number): void {
    this.#host.clearTimeout(this.#timeout);
    this.#wakesAt = at;
    this.#stalls = this.#time.stalls;
    // Node cuts off the fraction.
    this.#timeout = this.#host.setTimeout(this.#wake, Math.min(Math.ceil(at - now), MAX_TIMER_MS));
  }

  readonly #wake = (): void => {
    const now = this.#time.now();
    // Node runs timers before it reads sockets. After a stall, sockets are read first, and then the rest of the time is waited.
    if (this.#stalls !== this.#time.stalls) {
      this.#stalls = this.#time.stalls;
      return this.#host.setImmediate(this.#wake);
    }
    this.#wakesAt = Number.POSITIVE_INFINITY;
    try {
      for (let due = this.#next(now); due !== undefined; due = this.#next(now)) tellTime(due.listener);
    } finally {
      const { first } = this.#queue;
      if (first !== undefined && first.dueAt < this.#wakesAt) this.#wakeAt(first.dueAt, now);
    }
  };

  /** Removes the next timer that is due. Node can be too early, and then a listener that asks for the time would wait again. */
  #next(now: number): SystemTimer | undefined {
    const { first } = this.#queue;
    if (first === undefined || first.dueAt > now) return undefined;
    this.#queue.remove(first);
    return first;
  }
}

class SystemTimer implements Timer, Due {
  readonly dueAt: number;
  place = -1;
  readonly listener: TimerListener;
  readonly #timers: Timers;

  constructor(timers: Timers, dueAt: number, listener: TimerListener) {
    this.#timers = timers;
    this.dueAt = dueAt;
    this.listener = listener;
  }

  cancel(): void {
    this.#timers.cancel(this);
  }
}

const timers = new Timers(awake);
