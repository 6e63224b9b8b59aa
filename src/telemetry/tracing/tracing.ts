import { isDeepStrictEqual } from 'node:util';
import { parseTraceparent } from '../../http/trace-context.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { type Random, unguessableId } from '../../runtime/random.ts';
import type { CallRecord, Observer } from '../call-record.ts';
import { CallTrace } from './call-trace.ts';
import type { TracingOptions } from './options.ts';
import type { OtlpExport, SpanCounts } from './otlp.ts';
import { type SpanContext, spansOf } from './spans.ts';

export interface TracingDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly version: string;
}

export interface TracingSetup extends SpanContext {
  /** Undefined: nothing is traced. */
  readonly options: TracingOptions | undefined;
  /** `route`: spans have no path of a client. */
  readonly paths: 'full' | 'route';
}

/** The part of a route that traces need. */
export interface TracedRoute {
  readonly pattern: string;
  readonly propagatesTrace: boolean;
}

/** A durable request that an attempt is made of. */
export interface TracedJob {
  /** The `traceparent` of its submission. */
  readonly traceparent: string | null;
  /** The origin of a callback; undefined for an upstream. */
  readonly origin: string | undefined;
  readonly propagates: boolean;
}

const OFF: TracingSetup = { options: undefined, paths: 'full', targets: new Map(), scheme: 'http' };

/** Decides which calls are traced, and exports them when they end. Costs nothing but a comparison while it is off. */
export class Tracing implements Pick<Observer, 'callEnded' | 'durableAttemptEnded'> {
  readonly counts: SpanCounts = { exported: 0, failed: 0, dropped: 0 };
  readonly #deps: TracingDeps;
  readonly #instance = unguessableId();
  #setup = OFF;
  #export: OtlpExport | undefined;
  #failing = false;
  /** Serialises changes, because the SDK is loaded on demand. */
  #following: Promise<void> = Promise.resolve();

  constructor(deps: TracingDeps) {
    this.#deps = deps;
  }

  /** Follows a configuration. Resolves when calls are traced by it; spans of the former one are sent first. */
  setUp(setup: TracingSetup): Promise<void> {
    const follow = () => this.#follow(setup);
    // A failed set-up was reported to its caller, and must not prevent the next one.
    this.#following = this.#following.then(follow, follow);
    return this.#following;
  }

  async #follow(setup: TracingSetup): Promise<void> {
    const { options } = setup;
    const former = this.#export;
    const same = isDeepStrictEqual(options, this.#setup.options);
    if (!same && options !== undefined) {
      const { OtlpExport } = await import('./otlp.ts');
      const { clock, version } = this.#deps;
      const { counts } = this;
      const deps = { clock, version, instance: this.#instance, counts, onBatch: this.#onBatch };
      this.#export = new OtlpExport(options, deps);
    } else if (options === undefined) this.#export = undefined;
    this.#setup = setup;
    if (!same) void former?.close();
  }

  /** The trace of a call that has just come in; undefined if it is not sampled. `field`: the client's `traceparent`. */
  begin(field: string | undefined, { pattern, propagatesTrace }: TracedRoute): CallTrace | undefined {
    if (this.#export === undefined) return undefined;
    const parent = field === undefined ? undefined : parseTraceparent(field);
    // The sender of a trace has decided for all of it.
    if (parent === undefined ? !this.#chosen() : !parent.sampled) return undefined;
    const startedAt = this.#deps.clock.wallTime();
    return new CallTrace({ parent, startedAt, pattern, propagates: propagatesTrace });
  }

  /** The trace of an attempt of a durable request. It is sampled if its submission was. */
  follow({ traceparent, origin, propagates }: TracedJob): CallTrace | undefined {
    if (this.#export === undefined) return undefined;
    const submission = traceparent === null ? undefined : parseTraceparent(traceparent);
    if (submission === undefined ? !this.#chosen() : !submission.sampled) return undefined;
    const startedAt = this.#deps.clock.wallTime();
    const shownPath = this.#setup.paths === 'route' ? '/…' : undefined;
    return new CallTrace({ submission, startedAt, origin, shownPath, propagates });
  }

  callEnded(record: CallRecord): void {
    const { trace } = record.info;
    if (trace !== undefined) this.#export?.add(spansOf(record, trace, this.#setup));
  }

  durableAttemptEnded(record: CallRecord): void {
    this.callEnded(record);
  }

  /** Sends what waits, as far as the collector takes it. */
  async close(): Promise<void> {
    await this.#following;
    await this.#export?.close();
  }

  #chosen(): boolean {
    return this.#deps.random() < (this.#setup.options?.sample ?? 0);
  }

  /** One line when the collector begins to fail, and one when it works again. */
  readonly #onBatch = (error: Error | undefined): void => {
    const failing = error !== undefined;
    if (failing === this.#failing) return;
    this.#failing = failing;
    const { logger } = this.#deps;
    if (!failing) return logger.info({}, 'the collector takes traces again');
    const { failed, dropped } = this.counts;
    logger.warn(
      { failed, dropped, error: error.message },
      `traces cannot be sent to the collector (${error.message}); calls are not affected, and lost spans are only counted`,
    );
  };
}
