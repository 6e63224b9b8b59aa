import type { Abort } from '../../src/runtime/abort.ts';
import { type Clock, tellTime, type Timer, type TimerListener } from '../../src/runtime/clock.ts';

interface Sleeper {
  readonly at: number;
  readonly wake: () => void;
  /** Its stack shows the waiting code. It is formatted when it is read. */
  readonly begun: Error;
}

/** A clock that only a test advances. */
export class FakeClock implements Clock {
  /** How long the process was stopped, which `now` does not count. */
  stoppedMs = 0;
  #now = 0;
  #sleepers: Sleeper[] = [];
  #onSleep: Array<() => void> = [];

  now(): number {
    return this.#now;
  }

  real(): number {
    return this.#now + this.stoppedMs;
  }

  wallTime(): number {
    return Date.UTC(2026, 0, 1) + this.real();
  }

  sleep(ms: number, signal: Abort): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const cancel = () => {
        this.#remove(sleeper);
        reject(signal.reason);
      };
      const sleeper: Sleeper = {
        at: this.#now + ms,
        wake: () => {
          signal.off(cancel);
          resolve();
        },
        begun: new Error('begun here'),
      };
      signal.on(cancel);
      this.#sleepers.push(sleeper);
      for (const notify of this.#onSleep.splice(0)) notify();
    });
  }

  timer(ms: number, listener: TimerListener): Timer {
    const sleeper: Sleeper = {
      at: this.#now + ms,
      wake: () => tellTime(listener),
      begun: new Error('begun here'),
    };
    this.#timers.add(sleeper);
    this.#sleepers.push(sleeper);
    // A timer that is already due fires at once: the test may have advanced the time a moment before.
    if (ms <= 0) setImmediate(() => this.#fire(sleeper));
    return { cancel: () => this.#remove(sleeper) };
  }
  readonly #timers = new Set<Sleeper>();

  /** Sleeps and timers that still wait; a finished test leaves none. Those of the proxy itself do not count. */
  get pending(): number {
    return this.#sleepers.filter((sleeper) => !this.#own.has(placeOf(sleeper))).length;
  }
  #own: ReadonlySet<string> = new Set();

  /**
   * Everything that waits now is the proxy's own, such as its daily look at certificates. It waits again at the same place of the
   * code, each day and after a reload.
   */
  hasStarted(): void {
    this.#own = new Set(this.#sleepers.map(placeOf));
  }

  /** When they end, on the scale of `now`. */
  get deadlines(): readonly number[] {
    return this.#sleepers.map(({ at }) => at);
  }

  /** Resolves once code of this file waits for `ms` from now. Others may wait for the same moment, so counting is not enough. */
  async untilWaiting(file: string, ms: number): Promise<void> {
    const at = this.#now + ms;
    const waits = (sleeper: Sleeper) => sleeper.at === at && sleeper.begun.stack?.includes(`/${file}:`);
    while (!this.#sleepers.some(waits)) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Sleeps alone. */
  get sleeping(): number {
    return this.#sleepers.filter((sleeper) => !this.#timers.has(sleeper)).length;
  }

  /** Resolves as soon as something sleeps (timers do not count): the way to wait for code to reach its wait. */
  async untilAsleep(): Promise<void> {
    if (this.#sleepers.some((sleeper) => !this.#timers.has(sleeper))) return;
    await new Promise<void>((resolve) => this.#onSleep.push(resolve));
  }

  /** Moves time on, waking sleepers in order and letting each run before the next. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const due = this.#sleepers.filter((s) => s.at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#remove(due);
      this.#now = due.at;
      due.wake();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#now = end;
  }

  #fire(sleeper: Sleeper): void {
    if (!this.#timers.has(sleeper)) return;
    this.#remove(sleeper);
    sleeper.wake();
  }

  #remove(sleeper: Sleeper): void {
    this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
    this.#timers.delete(sleeper);
  }
}

/** The place in the code that waits, by the second frame of its stack: the first is this clock. */
function placeOf({ begun }: Sleeper): string {
  return begun.stack?.split('\n')[2] ?? '';
}
