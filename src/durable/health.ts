import { StoreError } from './store/db.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Store } from './store/store.ts';
import type { Logger } from '../runtime/logger.ts';

export interface HealthDeps {
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'error' | 'info'>;
}

/** Nobody sends anything to a process that is not ready: after so long it may be tried again. */
const TRY_AGAIN_MS = 10_000;

/** Whether the store takes and gives. A full disk still gives, so that only what it takes shows that it is well again. */
export class Health {
  readonly #deps: HealthDeps;
  #problem: { readonly error: StoreError; readonly of: 'taking' | 'giving'; readonly at: number } | undefined;

  constructor(deps: HealthDeps) {
    this.#deps = deps;
  }

  get well(): boolean {
    return this.#problem === undefined || this.#deps.clock.now() - this.#problem.at >= TRY_AGAIN_MS;
  }

  /** Passes on what `work` gives, and remembers whether the store was the trouble. */
  async taking<T>(work: Promise<T>): Promise<T> {
    return this.#watch(work, 'taking');
  }

  /** The same for what only reads, or may find nothing to write. */
  async giving<T>(work: Promise<T>): Promise<T> {
    return this.#watch(work, 'giving');
  }

  async #watch<T>(work: Promise<T>, of: 'taking' | 'giving'): Promise<T> {
    try {
      const result = await work;
      if (this.#problem !== undefined && (of === 'taking' || this.#problem.of === 'giving'))
        this.#recovered();
      return result;
    } catch (error) {
      if (error instanceof StoreError) this.#failed(error, of);
      throw error;
    }
  }

  #recovered(): void {
    this.#problem = undefined;
    this.#deps.logger.info({}, 'the store of durable requests works again');
  }

  #failed(error: StoreError, of: 'taking' | 'giving'): void {
    const known = this.#problem?.error.problem === error.problem;
    this.#problem = { error, of, at: this.#deps.clock.now() };
    if (known) return;
    this.#deps.logger.error(
      { problem: error.problem },
      `the store of durable requests fails: ${error.message}`,
    );
  }
}

/** What the runner asks of the store, so that one that fails is noticed. */
export function watched(store: Store, health: Health): Pick<Store, 'claim' | 'nextDueAt'> {
  return {
    claim: (claim) => health.giving(store.claim(claim)),
    nextDueAt: () => health.giving(store.nextDueAt()),
  };
}
