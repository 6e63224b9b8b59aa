import { Abort } from '../../runtime/abort.ts';
import type { Clock } from '../../runtime/clock.ts';

/** Why retries stop all at once: the breaker opened, or the proxy shuts down. */
export type TripReason = 'breaker' | 'draining';

/**
 * Tells calls in backoff that their wait has become pointless, so that they end at once with what they have.
 * It stands between retry and what it must know of others, without knowing them.
 */
export class Trip {
  readonly #current: (now: number) => TripReason | undefined;
  readonly #sleepers = new Set<(reason: TripReason) => void>();

  /** `current` says whether an attempt now would be refused, and why. */
  constructor(current: (now: number) => TripReason | undefined) {
    this.#current = current;
  }

  reason(now: number): TripReason | undefined {
    return this.#current(now);
  }

  /** Sleeps `delayMs`, or until the wait has become pointless: then it says why. Rejects when `signal` aborts. */
  async sleep(clock: Clock, delayMs: number, signal: Abort): Promise<TripReason | undefined> {
    const wake = new Abort(signal);
    let tripped: TripReason | undefined;
    const onWake = (reason: TripReason) => {
      tripped = reason;
      wake.abort(WOKEN);
    };
    this.onWake(onWake);
    try {
      await clock.sleep(delayMs, wake);
      return undefined;
    } catch (reason) {
      if (tripped === undefined) throw reason;
      return tripped;
    } finally {
      this.offWake(onWake);
      wake.detach();
    }
  }

  /** Wakes everyone who sleeps. */
  wake(reason: TripReason): void {
    for (const sleeper of this.#sleepers) sleeper(reason);
  }

  onWake(sleeper: (reason: TripReason) => void): void {
    this.#sleepers.add(sleeper);
  }

  offWake(sleeper: (reason: TripReason) => void): void {
    this.#sleepers.delete(sleeper);
  }
}

/** Ends a sleep that was tripped; nobody else sees it. */
const WOKEN = new Error('woken from backoff');
