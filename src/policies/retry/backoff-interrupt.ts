import { Abort } from '../../runtime/abort.ts';
import type { Clock } from '../../runtime/clock.ts';

/** Why every backoff ends at once: the breaker opened, or the proxy shuts down. */
export type InterruptReason = 'breaker' | 'draining';

/**
 * Interrupts the backoff of calls whose retry would be refused. They end at once with their last outcome. The retry policy
 * needs to know neither the breaker nor the shutdown.
 */
export class BackoffInterrupt {
  readonly #draining: Abort;
  readonly #isShut: (now: number) => boolean;
  readonly #sleepers = new Set<(reason: InterruptReason) => void>();

  /** `draining` aborts when the proxy shuts down. `isShut`: every breaker would refuse an attempt. */
  constructor(draining: Abort, isShut: (now: number) => boolean) {
    this.#draining = draining;
    this.#isShut = isShut;
  }

  /** Why an attempt now would be refused; undefined if it would not. */
  reason(now: number): InterruptReason | undefined {
    if (this.#draining.aborted) return 'draining';
    return this.#isShut(now) ? 'breaker' : undefined;
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

  /** The proxy drains. */
  onAbort(): void {
    this.wake('draining');
  }

  onWake(sleeper: (reason: InterruptReason) => void): void {
    if (this.#sleepers.size === 0) this.#draining.on(this);
    this.#sleepers.add(sleeper);
  }

  offWake(sleeper: (reason: InterruptReason) => void): void {
    this.#sleepers.delete(sleeper);
    if (this.#sleepers.size === 0) this.#draining.off(this);
  }
}

/** Ends an interrupted sleep. It never leaves this module. */
const WOKEN = new Error('woken from backoff');
