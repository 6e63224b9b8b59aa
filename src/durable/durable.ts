import { randomUUID } from 'node:crypto';
import type { ByteBudget } from '../http/byte-budget.ts';
import { RECOGNISED, withoutParameters } from '../http/credentials.ts';
import { type RawHeaders, withoutFields } from '../http/headers.ts';
import type { Reply } from '../http/reply.ts';
import type { Call } from '../proxy/call.ts';
import { shuttingDown } from '../proxy/errors.ts';
import type { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Random } from '../runtime/random.ts';
import type { Observer } from '../telemetry/call-record.ts';
import type { DurableSnapshot } from '../telemetry/snapshot.ts';
import { callbackOf, type RequestEnd } from './callbacks/callback.ts';
import { Cancellation } from './cancellation.ts';
import { ChangeNotifier } from './change-notifier.ts';
import { warnOfClock } from './clock-check.ts';
import { Credentials, type Sealable } from './credentials.ts';
import { Dispatch, type DispatchDeps } from './dispatch.ts';
import { execute } from './execute.ts';
import { Health, monitoredStore } from './health.ts';
import { answerApi } from './http/api.ts';
import type { ApiDeps } from './http/deps.ts';
import { answerSubmission } from './http/submission.ts';
import { Intake, unavailable } from './intake.ts';
import { type ActiveJob, jobOf, type NewJob } from './job.ts';
import type { DurableProcess } from './options.ts';
import type { DurableRoute } from './route.ts';
import { type CallbackRoutes, RouteTable } from './route-table.ts';
import { LONGEST_SLEEP_MS, Runner } from './runner.ts';
import type { ScheduleOptions } from './schedules/options.ts';
import { Scheduler } from './schedules/scheduler.ts';
import { snapshotOf } from './snapshot.ts';
import { StoreError } from './store/db.ts';
import type { Store } from './store/store.ts';
import { Sweeper } from './sweeper.ts';

export interface DurableDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly observer: Observer;
  readonly trace: DispatchDeps['trace'];
  readonly logger: Logger;
  readonly memory: ByteBudget;
  readonly store: Store;
  /** Other processes use the same store. */
  readonly shared: boolean;
  readonly callbackRoutes: CallbackRoutes;
}

/** The durable part of the running configuration. */
export interface DurableSetup {
  readonly process: DurableProcess;
  readonly routes: readonly DurableRoute[];
  readonly schedules: readonly ScheduleOptions[];
  /** Whether the end of a request is logged. */
  readonly logged: boolean;
}

/** The circumstances in which a request is submitted. */
export interface Submission {
  readonly signal: Abort;
  /** '' if the upstream has no tenants. */
  readonly tenant: string;
}

/** A call of the HTTP API of durable requests. */
export interface DurableCall {
  readonly method: string;
  /** Includes the prefix and the query. */
  readonly target: string;
  readonly headers: RawHeaders;
  /** Name of the client, by its token; undefined if clients need none. */
  readonly client?: string | undefined;
  /** The call has the admin token, or came in through the admin listener. */
  readonly admin: boolean;
  readonly signal: Abort;
}

/** With a shared store, requests from other processes are noticed after this time at most. */
const POLL_SHARED_MS = 1_000;

/** Durable requests, from acceptance to their end. */
export class Durable {
  readonly #deps: DurableDeps;
  readonly #health: Health;
  readonly #notifier: ChangeNotifier;
  readonly #credentials: Credentials;
  readonly #intake: Intake;
  readonly #runner: Runner;
  readonly #sweeper: Sweeper;
  readonly #scheduler: Scheduler;
  readonly #api: ApiDeps;
  #setup: DurableSetup;
  readonly #routes: RouteTable;
  #closing = false;
  #closed = false;

  /** Continues the requests in the store. Rejects with a StoreError if it cannot be read. */
  static async start(setup: DurableSetup, deps: DurableDeps): Promise<Durable> {
    const durable = new Durable(setup, deps, await deps.store.secret());
    if (deps.shared) await warnOfClock(deps);
    durable.#runner.wake();
    durable.#sweeper.start();
    durable.#scheduler.setUp(setup.schedules);
    return durable;
  }

  private constructor(setup: DurableSetup, deps: DurableDeps, secret: string) {
    this.#deps = deps;
    this.#setup = setup;
    this.#routes = new RouteTable(deps.callbackRoutes);
    this.#routes.setUp(setup.routes, setup.process.callbacks);
    const { clock, observer, random, memory, trace } = deps;
    const health = (this.#health = new Health(deps));
    const progress = (ids: readonly string[]) => health.reading(deps.store.progress(ids));
    this.#notifier = new ChangeNotifier(deps.shared ? { clock, progress } : undefined);
    const credentials = new Credentials(secret, () => this.#setup.process.credentialsKey);
    this.#credentials = credentials;
    this.#intake = new Intake({ ...deps, health, credentials, process: () => this.#setup.process });
    const parts = { clock, random, observer, trace, memory, credentials, callbacks: this.#callbacks };
    this.#runner = this.#newRunner(new Dispatch(parts));
    this.#sweeper = new Sweeper({ ...deps, health });
    this.#scheduler = new Scheduler({
      ...deps,
      health,
      route: (name) => this.#routes.get(name),
      submitted: () => this.#runner.wake(),
    });
    this.#api = this.#newApi();
  }

  /** False while the store fails: no request can be accepted then. */
  get healthy(): boolean {
    return this.#health.healthy;
  }

  /** Applies a new configuration. Running attempts finish under the old one. */
  setUp(setup: DurableSetup): void {
    this.#setup = setup;
    this.#routes.setUp(setup.routes, setup.process.callbacks);
    this.#scheduler.setUp(setup.schedules);
    this.#runner.wake();
  }

  /** Replies 202 to a call of the route `name`, or the result within `Prefer: wait`. Rejects with a ProxyError. */
  async accept(name: string, call: Call, { signal, tenant }: Submission): Promise<Reply> {
    const route = this.#routes.get(name);
    if (route === undefined || this.#closed) throw shuttingDown();
    const { job, submitted } = await this.#intake.take(route, call, tenant);
    if (submitted.kind === 'accepted') this.#runner.wake();
    const repeat = submitted.kind === 'repeat';
    try {
      const known = repeat ? await this.#health.reading(this.#deps.store.get(submitted.id)) : jobOf(job);
      if (known === undefined) throw new StoreError('failed', `${submitted.id} was just deleted`);
      return await answerSubmission({ job: known, repeat }, { headers: call.headers, signal }, this.#api);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (repeat) throw unavailable(error);
      // The request is committed, so a failure of the wait does not change the acceptance.
      return answerSubmission({ job: jobOf(job), repeat }, { headers: [], signal }, this.#api);
    }
  }

  /** Answers a call of the HTTP API. */
  api({ method, target, headers, client, admin, signal }: DurableCall): Promise<Reply> {
    const query = target.indexOf('?');
    const path = (query < 0 ? target : target.slice(0, query)).slice(this.#setup.process.prefix.length);
    const call = {
      method,
      path,
      query: new URLSearchParams(query < 0 ? '' : target.slice(query + 1)),
      headers,
      callersFor: (name: string) => this.#callersFor(name, { headers, target }, client),
      admin,
      signal,
    };
    return answerApi(call, this.#api);
  }

  /** Counts for the metrics. Undefined if the store does not answer. */
  snapshot(): Promise<DurableSnapshot | undefined> {
    return snapshotOf(this.#deps.store, this.#deps.clock.wallTime());
  }

  /** Stops claiming requests and releases long polls. Resolves when no attempt is running. */
  drain(): Promise<void> {
    this.#closing = true;
    this.#notifier.changedAll();
    this.#notifier.close();
    this.#sweeper.stop();
    this.#scheduler.stop();
    return this.#runner.drain();
  }

  /** Aborts the running attempts and closes the store. */
  async close(): Promise<void> {
    this.#closed = true;
    const idle = this.drain();
    this.#runner.cut();
    await idle;
    this.#routes.close();
    await this.#deps.store.close();
  }

  /**
   * The caller's identities as a request of that route would have them: with the name of its client, and as it was submitted
   * before clients needed tokens. What the route drops does not count.
   */
  #callersFor(name: string, { headers, target }: Sealable, client: string | undefined): string[] {
    const route = this.#routes.get(name);
    const passed = route === undefined ? headers : withoutFields(headers, (field) => route.drop.has(field));
    const asked = route?.dropParameters ? withoutParameters(target, route.dropParameters) : target;
    const request = { headers: passed, target: asked };
    const names = route?.names ?? RECOGNISED;
    return [...new Set([client, undefined])].map((one) => this.#credentials.callerOf(request, names, one));
  }

  readonly #callbacks = (job: ActiveJob, end: RequestEnd): readonly NewJob[] =>
    callbackOf(job, end, this.#setup.process);

  #newRunner(dispatch: Dispatch): Runner {
    const { clock, logger, observer, shared, store } = this.#deps;
    const leaseEpoch = clock.wallTime() - clock.now();
    const onBug = (error: unknown) => {
      if (!(error instanceof StoreError)) logger.error({ error }, 'a durable request failed: a bug');
    };
    const deps = {
      clock,
      store,
      observer,
      logger,
      dispatch,
      health: this.#health,
      route: (name: string) => this.#routes.get(name),
      changed: (id: string) => this.#notifier.changed(id),
      logged: () => this.#setup.logged,
      stopped: () => this.#closed,
    };
    const onSetBack = (count: number) =>
      logger.warn(
        { count },
        'the clock was set back: the waits of waiting requests start again now, at the same length',
      );
    return new Runner({
      clock,
      onSetBack,
      store: monitoredStore(store, this.#health),
      storeFailedAt: () => this.#health.failedAt,
      owner: randomUUID(),
      leaseNow: () => (shared ? undefined : leaseEpoch + clock.now()),
      pollMs: shared ? POLL_SHARED_MS : LONGEST_SLEEP_MS,
      routes: this.#routes,
      run: (running, succeeded) => execute(running, deps, succeeded),
      onBug,
    });
  }

  #newApi(): ApiDeps {
    const { clock, shared, store } = this.#deps;
    return {
      clock,
      store,
      storeFile: shared ? undefined : this.#setup.process.store,
      notifier: this.#notifier,
      prefix: () => this.#setup.process.prefix,
      routes: () => this.#routes.all,
      closing: () => this.#closing,
      schedules: this.#scheduler,
      cancellation: new Cancellation({
        clock,
        store,
        running: (id) => this.#runner.running(id),
        retentionMs: (name) => this.#routes.get(name)?.options.retentionMs,
        callbacks: this.#callbacks,
      }),
      changed: (id) => {
        if (id !== undefined) this.#notifier.changed(id);
        this.#runner.wake();
      },
    };
  }
}
