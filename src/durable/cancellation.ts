import { ProxyError } from '../proxy/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import type { RequestEnd } from './callbacks/callback.ts';
import type { ActiveJob, Job, NewJob } from './job.ts';
import { RETENTION_WITHOUT_ROUTE_MS } from './options.ts';
import type { RunningJob } from './runner.ts';
import { StoreError } from './store/db.ts';
import type { Filter, Store } from './store/store.ts';

export interface CancellationDeps {
  readonly clock: Clock;
  readonly store: Store;
  /** The attempt of this request that runs in this process. */
  readonly running: (id: string) => RunningJob | undefined;
  /** How long the route retains results, in milliseconds. Undefined if the configuration no longer has the route. */
  readonly retentionMs: (route: string) => number | undefined;
  /** The requests that are created when a request ends: its callback. */
  readonly callbacks: (job: ActiveJob, end: RequestEnd) => readonly NewJob[];
}

/** Maximum wait for the result of an aborted attempt. A failing store is tried again without end, and a client must not wait for it. */
const RESULT_MS = 10_000;

/** Cancels and erases requests. */
export class Cancellation {
  readonly #deps: CancellationDeps;

  constructor(deps: CancellationDeps) {
    this.#deps = deps;
  }

  /**
   * Cancels a waiting request, and aborts an attempt that runs in this process. Returns the request afterwards.
   * Undefined if it has ended or another process runs it.
   */
  async cancel(job: Job): Promise<Job | undefined> {
    let cut = false;
    do {
      cut = (await this.#cut(job)) || cut;
      const { now, purgeAt } = this.#times(job);
      const changed = await this.#deps.store.cancel(job.id, now, purgeAt, this.#callbacks(job, now));
      if (changed.kind === 'unknown') return undefined;
      if (changed.kind === 'changed' || (cut && changed.job.status === 'cancelled')) return changed.job;
      // The aborted attempt may have been settled just before, so that the next one has begun.
    } while (this.#deps.running(job.id) !== undefined);
    return undefined;
  }

  /** Cancels all requests that match. They are retained for `retentionMs`. */
  cancelAll(filter: Filter, retentionMs: number): Promise<{ matched: number; changed: number }> {
    const now = Math.floor(this.#deps.clock.wallTime());
    const callbacks = (job: Job) => this.#callbacks(job, now);
    return this.#deps.store.cancelAll(filter, now, now + retentionMs, callbacks);
  }

  /** Cancels a request and erases its bodies. False if another process runs it. */
  async erase(job: Job): Promise<boolean> {
    const { now, purgeAt } = this.#times(job);
    // Cancelling comes first, so that only the operation that ends the request creates its callback.
    await this.cancel(job);
    const changed = await this.#deps.store.erase(job.id, now, purgeAt);
    return changed.kind !== 'refused';
  }

  /**
   * Aborts the attempt that runs here. Resolves with true once its result is stored; false if none runs here. Rejects with a
   * StoreError if the store does not take the result in time. It will be stored as soon as the store works.
   */
  async #cut({ id }: Job): Promise<boolean> {
    const running = this.#deps.running(id);
    if (running === undefined) return false;
    running.cancelled = true;
    running.signal.abort(new ProxyError('client_gone', 'cancelled on request', { sent: 'sent_unknown' }));
    await this.#untilStored(running);
    return true;
  }

  async #untilStored({ ended, job }: RunningJob): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = this.#deps.clock.timer(RESULT_MS, () =>
      late.reject(
        new StoreError('failed', `the result of ${job.id} could not be stored within ${RESULT_MS} ms`),
      ),
    );
    try {
      await Promise.race([ended, late.promise]);
    } finally {
      timer.cancel();
    }
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
    return { now, purgeAt: now + (this.#deps.retentionMs(route) ?? RETENTION_WITHOUT_ROUTE_MS) };
  }
}
