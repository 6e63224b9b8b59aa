import type { Clock, Timer } from '../runtime/clock.ts';
import { ClockJumps } from './clock-jumps.ts';
import type { Health } from './health.ts';
import { StoreError } from './store/db.ts';
import type { Store } from './store/store.ts';

export interface SweeperDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly health: Health;
}

const SWEEP_EVERY_MS = 60_000;

/** After the clock was set forward, nothing is deleted for this time, so that a wrong clock can be corrected. */
const DISTRUST_MS = 3_600_000;

/** Below any retention. A process that was suspended for longer waits too, which does no harm. */
const JUMP_MS = 60_000;

/** Small, so that requests do not wait long for the store. */
const BATCH = 200;

/** Deletes requests whose retention has passed, in small batches. */
export class Sweeper {
  readonly #deps: SweeperDeps;
  #timer: Timer | undefined;
  #stopped = false;
  readonly #jumps: ClockJumps;
  /** Monotonic milliseconds. */
  #trustsAt = Number.NEGATIVE_INFINITY;

  constructor(deps: SweeperDeps) {
    this.#deps = deps;
    this.#jumps = new ClockJumps(deps.clock);
  }

  start(): void {
    if (this.#stopped) return;
    this.#timer = this.#deps.clock.timer(SWEEP_EVERY_MS, () => void this.#sweep().then(() => this.start()));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #sweep(): Promise<void> {
    const { clock, health, store } = this.#deps;
    if (this.#jumps.look() > JUMP_MS) this.#trustsAt = clock.now() + DISTRUST_MS;
    if (clock.now() < this.#trustsAt) return;
    try {
      let swept = BATCH;
      while (swept >= BATCH && !this.#stopped)
        swept = await health.reading(store.sweep(clock.wallTime(), BATCH));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }
}
