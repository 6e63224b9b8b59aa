import { Abort } from '../../runtime/abort.ts';
import type { Clock } from '../../runtime/clock.ts';

/** Why every backoff ends at once: the breaker opened, or the proxy shuts down. */
export type InterruptReason = 'breaker' | 'draining';

/**
 * Interrupts the backoff of calls whose retry would be refused. They end at once with their last outcome. The retry policy
 * needs to know neither the breaker nor the shutdown.
 */
export class BackoffInterrupt {
  readonly #current: (now: number) => InterruptReason | undefined;
  readonly #sleepers = new Set<(reason: InterruptReason) => void>();

  /** `current` returns why an attempt now would be refused; undefined if it would not. */
  constructor(current: (now: number) => InterruptReason | undefined) {
    this.#current = current;
  }

  reason(now: number): InterruptReason | undefined {
    return this.#current(now);
  }

  /** Sleeps `delayMs` milliseconds, or until an interrupt, and returns its reason. Rejects when `signal` aborts. */
  async sleep(clock: Clock, delayMs: number, signal: Abort): Promise<InterruptReason | undefined> {
    const wake = new Abort(signal);
    let interrupted: InterruptReason | undefined;
    const onWake = (reason: InterruptReason) => {
      interrupted = reason;
      wake.abort(WOKEN);
    };
    this.onWake(onWake);
    try {
      await clock.sleep(delayMs, wake);
      return undefined;
    } catch (reason) {
      if (interrupted === undefined) throw reason;
      return interrupted;
    } finally {
      this.offWake(onWake);
    }
  }

  /** Interrupts every sleep. */
  wake(reason: InterruptReason): void {
    for (const sleeper of this.#sleepers) sleeper(reason);
  }

  onWake(sleeper: (reason: InterruptReason) => void): void {
    this.#sleepers.add(sleeper);
  }

  offWake(sleeper: (reason: InterruptReason) => void): void {
    this.#sleepers.delete(sleeper);
  }
}

/** Ends an interrupted sleep. It never leaves this module. */
const WOKEN = new Error('woken from backoff');
