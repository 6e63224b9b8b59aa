import type { Abort } from '../runtime/abort.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { StoreError } from './store/db.ts';
import type { JobProgress } from './store/store.ts';

/** Other processes change requests in the same store without notifying this one. */
export interface SharedStore {
  readonly clock: Clock;
  readonly progress: (ids: readonly string[]) => Promise<readonly JobProgress[]>;
}

/** Interval of the poll. One query asks for all subscribed requests, however many there are. */
const POLL_EVERY_MS = 1_000;

/** Notifies subscribers when a request has changed. */
export class ChangeNotifier {
  readonly #subscriptions = new Map<string, Set<Subscription>>();
  readonly #shared: SharedStore | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(shared?: SharedStore) {
    this.#shared = shared;
  }

  /** Number of requests with subscribers. */
  get size(): number {
    return this.#subscriptions.size;
  }

  /** From now on no change of `id` is missed. The caller must close the subscription. */
  subscribe(id: string): Subscription {
    const subscription = new Subscription(() => {
      const all = this.#subscriptions.get(id);
      all?.delete(subscription);
      if (all?.size === 0) this.#subscriptions.delete(id);
    });
    const all = this.#subscriptions.get(id);
    if (all === undefined) this.#subscriptions.set(id, new Set([subscription]));
    else all.add(subscription);
    this.#schedulePoll();
    return subscription;
  }

  changed(id: string): void {
    const all = this.#subscriptions.get(id);
    if (all !== undefined) for (const subscription of all) subscription.changed();
  }

  /** Wakes every subscriber, because no further change will happen in this process. */
  changedAll(): void {
    for (const id of this.#subscriptions.keys()) this.changed(id);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #schedulePoll(): void {
    if (this.#shared === undefined || this.#timer !== undefined || this.#closed) return;
    const { clock, progress } = this.#shared;
    this.#timer = clock.timer(POLL_EVERY_MS, () => void this.#poll(progress));
  }

  #notifyIfChanged(progress: JobProgress): void {
    for (const subscription of this.#subscriptions.get(progress.id) ?? []) subscription.compare(progress);
  }

  /**
   * Never rejects. If the store fails, subscribers are not notified, and a subscriber meets the error when its own wait ends.
   */
  async #poll(progressOf: SharedStore['progress']): Promise<void> {
    try {
      const ids = [...this.#subscriptions.keys()];
      for (const progress of ids.length === 0 ? [] : await progressOf(ids)) this.#notifyIfChanged(progress);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    } finally {
      this.#timer = undefined;
      if (this.size > 0) this.#schedulePoll();
    }
  }
}

/** Whether a request is unchanged between two reads. */
export function sameProgress(a: JobProgress, b: JobProgress): boolean {
  return a.status === b.status && a.attempt === b.attempt && a.dueAt === b.dueAt && a.reason === b.reason;
}

/** One subscriber's view of one request. */
export class Subscription {
  readonly close: () => void;
  #dirty = false;
  #seen: JobProgress | undefined;
  #wake: (() => void) | undefined;

  constructor(close: () => void) {
    this.close = close;
  }

  /** Records what the subscriber has read. `nextChange` waits for a difference from it. */
  observed(progress: JobProgress): void {
    this.#seen = progress;
  }

  compare(progress: JobProgress): void {
    if (this.#seen !== undefined && !sameProgress(this.#seen, progress)) this.changed();
  }

  changed(): void {
    this.#dirty = true;
    this.#wake?.();
  }

  /** Resolves after a change since the last call, or after `ms`. Rejects when `signal` aborts. */
  async nextChange(ms: number, { clock, signal }: { clock: Clock; signal: Abort }): Promise<void> {
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
