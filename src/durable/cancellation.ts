import { ProxyError } from '../proxy/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { RequestEnd } from './callbacks/callback.ts';
import type { Job, NewJob } from './job.ts';
import type { RunningJob } from './runner.ts';
import type { Filter, Store } from './store/store.ts';

export interface CancellationDeps {
  readonly clock: Clock;
  readonly store: Store;
  /** What runs in this process. */
  readonly running: (id: string) => RunningJob | undefined;
  /** How long the results of a route are kept; undefined where the route is gone. */
  readonly retentionMs: (route: string) => number | undefined;
  /** What comes into being with the end of a request. */
  readonly callbacks: (job: Job, end: RequestEnd) => readonly NewJob[];
}

/** What was cancelled without a route is kept for so long. */
const DEFAULT_RETENTION_MS = 86_400_000;

/** Ends requests before their time. */
export class Cancellation {
  readonly #deps: CancellationDeps;

  constructor(deps: CancellationDeps) {
    this.#deps = deps;
  }

  /** Cancels what waits, cuts what runs here. The request afterwards; undefined where it is done or runs elsewhere. */
  async cancel(job: Job): Promise<Job | undefined> {
    let cut = false;
    do {
      cut = (await this.#cut(job)) || cut;
      const { now, purgeAt } = this.#times(job);
      const changed = await this.#deps.store.cancel(job.id, now, purgeAt, this.#callbacks(job, now));
      if (changed.kind === 'unknown') return undefined;
      if (changed.kind === 'changed' || (cut && changed.job.status === 'cancelled')) return changed.job;
      // What was cut may have been decided a moment before, and the next attempt have begun.
    } while (this.#deps.running(job.id) !== undefined);
    return undefined;
  }

  /** The same for all that match; they are kept for `retentionMs`. */
  cancelAll(filter: Filter, retentionMs: number): Promise<{ matched: number; changed: number }> {
    const now = Math.floor(this.#deps.clock.wallTime());
    const callbacks = (job: Job) => this.#callbacks(job, now);
    return this.#deps.store.cancelAll(filter, now, now + retentionMs, callbacks);
  }

  /** Cancels, and erases the bodies; false where it runs elsewhere. */
  async erase(job: Job): Promise<boolean> {
    const { now, purgeAt } = this.#times(job);
    // First of all, so that nobody but the one who ended it tells of its end.
    await this.cancel(job);
    const changed = await this.#deps.store.erase(job.id, now, purgeAt);
    return changed.kind !== 'refused';
  }

  /** Resolves with true once the attempt that runs here has been cut, and what came of it is kept. */
  async #cut({ id }: Job): Promise<boolean> {
    const running = this.#deps.running(id);
    if (running === undefined) return false;
    running.cancelled = true;
    running.signal.abort(new ProxyError('client_gone', 'cancelled on request', { sent: 'sent_unknown' }));
    await running.ended;
    return true;
  }

  #callbacks(job: Job, now: number): readonly NewJob[] {
    const error = { code: 'cancelled', title: 'cancelled on request' } as const;
    return this.#deps.callbacks(job, {
      status: 'cancelled',
      error,
      now,
      attempts: job.attempt,
      response: undefined,
    });
  }

  #times({ route }: Job): { now: number; purgeAt: number } {
    const now = Math.floor(this.#deps.clock.wallTime());
    return { now, purgeAt: now + (this.#deps.retentionMs(route) ?? DEFAULT_RETENTION_MS) };
  }
}
