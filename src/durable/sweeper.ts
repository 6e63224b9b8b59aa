import type { Clock, Timer } from '../runtime/clock.ts';
import type { Health } from './health.ts';
import { StoreError } from './store/db.ts';
import type { Store } from './store/store.ts';

export interface SweeperDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly health: Health;
}

const SWEEP_EVERY_MS = 60_000;

/** Small, so that requests are not kept waiting behind it. */
const BATCH = 200;

/** Has the store forget, a little at a time, what has outlived its retention. */
export class Sweeper {
  readonly #deps: SweeperDeps;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: SweeperDeps) {
    this.#deps = deps;
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
    try {
      let swept = BATCH;
      while (swept >= BATCH && !this.#stopped)
        swept = await health.giving(store.sweep(clock.wallTime(), BATCH));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }
}
