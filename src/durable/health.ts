import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { StoreError } from './store/db.ts';
import type { Store } from './store/store.ts';

export interface HealthDeps {
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'error' | 'info'>;
}

/** Nobody sends anything to a process that is not ready: after so long it may be tried again. */
const TRY_AGAIN_MS = 10_000;

/**
 * What the store is asked for, by how much its success proves: reads, and what may find nothing to write; ends of what
 * was accepted, for which the embedded store keeps a reserve; new requests.
 */
const PROOF = { reading: 0, finishing: 1, accepting: 2 } as const;
type Operation = keyof typeof PROOF;

/** Whether the store takes and gives. A full disk still gives, so a success clears only a failure that it disproves. */
export class Health {
  readonly #deps: HealthDeps;
  #problem: { readonly error: StoreError; readonly of: Operation; readonly at: number } | undefined;

  constructor(deps: HealthDeps) {
    this.#deps = deps;
  }

  get healthy(): boolean {
    return this.#problem === undefined || this.#deps.clock.now() - this.#problem.at >= TRY_AGAIN_MS;
  }

  /** Passes on what `work` gives, and remembers whether the store was the trouble. */
  async accepting<T>(work: Promise<T>): Promise<T> {
    return this.#observe(work, 'accepting');
  }

  /** The same for the end of an attempt. */
  async finishing<T>(work: Promise<T>): Promise<T> {
    return this.#observe(work, 'finishing');
  }

  /** The same for what only reads, or may find nothing to write. */
  async reading<T>(work: Promise<T>): Promise<T> {
    return this.#observe(work, 'reading');
  }

  async #observe<T>(work: Promise<T>, of: Operation): Promise<T> {
    try {
      const result = await work;
      if (this.#problem !== undefined && PROOF[of] >= PROOF[this.#problem.of]) this.#recovered();
      return result;
    } catch (error) {
      if (error instanceof StoreError && error.problem !== 'unwritable') this.#failed(error, of);
      throw error;
    }
  }

  #recovered(): void {
    this.#problem = undefined;
    this.#deps.logger.info({}, 'the durable store works again');
  }

  #failed(error: StoreError, of: Operation): void {
    const known = this.#problem?.error.problem === error.problem ? this.#problem : undefined;
    const most = known !== undefined && PROOF[known.of] > PROOF[of] ? known.of : of;
    this.#problem = { error, of: most, at: this.#deps.clock.now() };
    if (known !== undefined) return;
    this.#deps.logger.error({ problem: error.problem }, `the durable store fails: ${error.message}`);
  }
}

/** What the runner asks of the store, so that one that fails is noticed. */
export function monitoredStore(
  store: Store,
  health: Health,
): Pick<Store, 'claim' | 'nextDueAt' | 'setBack' | 'wallTime'> {
  return {
    claim: (claim) => health.reading(store.claim(claim)),
    nextDueAt: () => health.reading(store.nextDueAt()),
    setBack: (now) => health.reading(store.setBack(now)),
    wallTime: () => health.reading(store.wallTime()),
  };
}
