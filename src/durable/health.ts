import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Observer } from '../telemetry/call-record.ts';
import { isOfOneRow, StoreError } from './store/db.ts';
import type { Store } from './store/store.ts';

export interface HealthDeps {
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'error' | 'info'>;
  readonly observer: Pick<Observer, 'stateChanged'>;
}

/** A process that is not ready gets no traffic, so it reports ready again after this time to be tried. */
const TRY_AGAIN_MS = 10_000;

/**
 * Operations by how much their success proves. Reads, and writes that may find nothing, prove least. Results of
 * attempts are next: the embedded store has a disk reserve for them. New requests prove most.
 */
const PROOF = { reading: 0, finishing: 1, accepting: 2 } as const;
type Operation = keyof typeof PROOF;

/** Health of the store. A full disk can still be read, so a success clears only failures that it disproves. */
export class Health {
  readonly #deps: HealthDeps;
  #problem: { readonly error: StoreError; readonly of: Operation; readonly at: number } | undefined;
  #failedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: HealthDeps) {
    this.#deps = deps;
  }

  /** Monotonic milliseconds of the last failure that other processes of the store may have met, too. */
  get failedAt(): number {
    return this.#failedAt;
  }

  get healthy(): boolean {
    return this.#problem === undefined || this.#deps.clock.now() - this.#problem.at >= TRY_AGAIN_MS;
  }

  /** Observes the acceptance of a request. Passes on the result of `work`. */
  accepting<T>(work: Promise<T>): Promise<T> {
    return this.#observe(work, 'accepting');
  }

  /** Observes the storing of an attempt's result. */
  finishing<T>(work: Promise<T>): Promise<T> {
    return this.#observe(work, 'finishing');
  }

  /** Observes a read, or a write that may find nothing to do. */
  reading<T>(work: Promise<T>): Promise<T> {
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
    this.#report('working', this.#problem?.error.problem ?? '');
    this.#problem = undefined;
    this.#deps.logger.info({}, 'the durable store works again');
  }

  #report(to: 'failed' | 'working', problem: string): void {
    this.#deps.observer.stateChanged('', { type: 'store_health', scope: '', to, problem });
  }

  #failed(error: StoreError, of: Operation): void {
    // New requests fail first on a full disk, and a result may fail alone. Claims go on in both cases.
    if (of === 'reading' || (of === 'finishing' && !isOfOneRow(error)))
      this.#failedAt = this.#deps.clock.now();
    const known = this.#problem?.error.problem === error.problem ? this.#problem : undefined;
    const most = known !== undefined && PROOF[known.of] > PROOF[of] ? known.of : of;
    this.#problem = { error, of: most, at: this.#deps.clock.now() };
    if (known !== undefined) return;
    this.#report('failed', error.problem);
    this.#deps.logger.error({ problem: error.problem }, `the durable store fails: ${error.message}`);
  }
}

/** The store for the runner, with its health observed. */
export function monitoredStore(
  store: Store,
  health: Health,
): Pick<Store, 'claim' | 'claimed' | 'nextDueAt' | 'setBack' | 'wallTime'> {
  return {
    claim: (claim) => health.reading(store.claim(claim)),
    claimed: (lost) => health.reading(store.claimed(lost)),
    nextDueAt: () => health.reading(store.nextDueAt()),
    setBack: (now) => health.reading(store.setBack(now)),
    wallTime: () => health.reading(store.wallTime()),
  };
}
