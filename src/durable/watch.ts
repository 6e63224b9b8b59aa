import type { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';

/** Tells those who wait for a request that something has become of it. */
export class Watch {
  readonly #observed = new Map<string, Set<Sight>>();

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
    return sight;
  }

  changed(id: string): void {
    for (const sight of this.#observed.get(id) ?? []) sight.changed();
  }

  /** Everybody, because nothing more is going to become of anything here. */
  changedAll(): void {
    for (const id of this.#observed.keys()) this.changed(id);
  }
}

/** One look at one request. */
export class Sight {
  readonly close: () => void;
  #dirty = false;
  #wake: (() => void) | undefined;

  constructor(close: () => void) {
    this.close = close;
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
