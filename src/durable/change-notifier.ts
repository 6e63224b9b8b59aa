import type { Abort } from '../runtime/abort.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { StoreError } from './store/db.ts';
import type { Standing } from './store/store.ts';

/** Other processes change requests too, and tell nobody here. */
export interface Elsewhere {
  readonly clock: Clock;
  readonly standings: (ids: readonly string[]) => Promise<readonly Standing[]>;
}

/** How often the store is asked what has become of all that is waited for: one question, however many wait. */
const LOOK_EVERY_MS = 1_000;

/** Tells those who wait for a request that something has become of it. */
export class Watch {
  readonly #observed = new Map<string, Set<Sight>>();
  readonly #elsewhere: Elsewhere | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(elsewhere?: Elsewhere) {
    this.#elsewhere = elsewhere;
  }

  /** How many are looked at. */
  get size(): number {
    return this.#observed.size;
  }

  /** From now on no change of `id` is missed; to be closed. */
  look(id: string): Sight {
    const sight = new Sight(() => {
      const others = this.#observed.get(id);
      others?.delete(sight);
      if (others?.size === 0) this.#observed.delete(id);
    });
    const others = this.#observed.get(id);
    if (others === undefined) this.#observed.set(id, new Set([sight]));
    else others.add(sight);
    this.#lookElsewhere();
    return sight;
  }

  changed(id: string): void {
    for (const sight of this.#observed.get(id) ?? []) sight.changed();
  }

  /** Everybody, because nothing more is going to become of anything here. */
  changedAll(): void {
    for (const id of this.#observed.keys()) this.changed(id);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #lookElsewhere(): void {
    if (this.#elsewhere === undefined || this.#timer !== undefined || this.#closed) return;
    const { clock, standings } = this.#elsewhere;
    this.#timer = clock.timer(LOOK_EVERY_MS, () => void this.#compare(standings));
  }

  #compareWith(standing: Standing): void {
    for (const sight of this.#observed.get(standing.id) ?? []) sight.compare(standing);
  }

  /** Never rejects: a store that fails tells nothing new, and whoever waits meets it at the end of the wait. */
  async #compare(standings: Elsewhere['standings']): Promise<void> {
    try {
      const ids = [...this.#observed.keys()];
      for (const standing of ids.length === 0 ? [] : await standings(ids)) this.#compareWith(standing);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    } finally {
      this.#timer = undefined;
      if (this.size > 0) this.#lookElsewhere();
    }
  }
}

/** Whether nothing has become of a request between two looks. */
export function sameStanding(a: Standing, b: Standing): boolean {
  return a.status === b.status && a.attempt === b.attempt && a.dueAt === b.dueAt && a.reason === b.reason;
}

/** One look at one request. */
export class Sight {
  readonly close: () => void;
  #dirty = false;
  #seen: Standing | undefined;
  #wake: (() => void) | undefined;

  constructor(close: () => void) {
    this.close = close;
  }

  /** What its owner has found, and waits for a change of. */
  saw(standing: Standing): void {
    this.#seen = standing;
  }

  compare(standing: Standing): void {
    if (this.#seen !== undefined && !sameStanding(this.#seen, standing)) this.changed();
  }

  changed(): void {
    this.#dirty = true;
    this.#wake?.();
  }

  /** Resolves after the next change since the last time, or after `ms`; rejects when `signal` aborts. */
  async next(ms: number, { clock, signal }: { clock: Clock; signal: Abort }): Promise<void> {
    if (signal.aborted) throw signal.reason;
    if (!this.#dirty) await this.#sleep(ms, clock, signal);
    this.#dirty = false;
  }

  #sleep(ms: number, clock: Clock, signal: Abort): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        timer.cancel();
        signal.off(onAbort);
        this.#wake = undefined;
      };
      const done = () => {
        stop();
        resolve();
      };
      const onAbort = () => {
        stop();
        reject(signal.reason);
      };
      const timer = clock.timer(ms, done);
      signal.on(onAbort);
      this.#wake = done;
    });
  }
}
