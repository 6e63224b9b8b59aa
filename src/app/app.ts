import { isDeepStrictEqual } from 'node:util';
import type { AdminDeps, BreakerForce, RefusedReload } from '../admin/deps.ts';
import { hasToken } from '../admin/access.ts';
import { CallHistory } from '../admin/call-history.ts';
import type { HttpServer } from '../admin/http-server.ts';
import { startMetrics } from '../admin/metrics-server.ts';
import { startAdmin } from '../admin/server.ts';
import type { Config } from '../config/config.ts';
import { remembersQuotas } from '../config/resolve/durable.ts';
import { formatDuration } from '../config/fields/format.ts';
import { shownConfig } from '../config/show/redacted-config.ts';
import { ByteBudget } from '../http/byte-budget.ts';
import { headerOf } from '../http/headers.ts';
import { shuttingDown } from '../proxy/errors.ts';
import { Abort } from '../runtime/abort.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { nodeVersion } from '../runtime/process.ts';
import { idSource, type Random } from '../runtime/random.ts';
import { atOnce, inSlices, type Steps } from '../runtime/event-loop.ts';
import { Door } from '../server/door.ts';
import { Listener } from '../server/listener.ts';
import { type AppServer, closeServer, cutClients, limitClients, listen, urlOf } from '../server/server.ts';
import { followTls } from '../server/server-tls.ts';
import { logCalls } from '../telemetry/call-log.ts';
import type { Observer } from '../telemetry/call-record.ts';
import { Metrics } from '../telemetry/metrics/registry.ts';
import { combine, delegate } from '../telemetry/observer.ts';
import { Tracing } from '../telemetry/tracing/tracing.ts';
import { Traffic } from '../telemetry/traffic/traffic.ts';
import { type Assembly, assemble, type RunningUpstream, scopesOf } from './assemble.ts';
import { DurableSide } from './durable/durable-side.ts';
import type { StoreOpening } from './durable/store-opening.ts';
import { FleetSide } from './fleet-side.ts';
import { QuotaMemories } from './quota-memory.ts';
import { RetainedState } from './retained-state.ts';
import { OperatorEvents } from './operator-events/operator-events.ts';
import { reloadEvent, Watches } from './operator-events/watches.ts';
import { tracingSetup } from './tracing-setup.ts';
import { stateSource, trafficSample } from './state-source.ts';

export type { Answer, Question } from '../admin/deps.ts';

export interface AppDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The number of log lines lost so far. */
  readonly droppedLogLines?: (() => number) | undefined;
  readonly version: string;
  /** Observes all events, in addition to metrics, recent calls and log. */
  readonly observer?: Partial<Observer> | undefined;
  /**
   * Loads the configuration again. Each problem is one readable line. Parts that equal those of `running` may be the same objects.
   * Rejects if loading itself failed.
   */
  readonly load: (running: Config) => LoadResult | Promise<LoadResult>;
  /** The durable store, if its opening has begun. */
  readonly opening?: StoreOpening | undefined;
  /** Answers questions of the admin API about the configuration. Undefined if there is no file. */
  readonly ask?: AdminDeps['ask'] | undefined;
}

export type LoadResult =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly errors: readonly string[] };

const noFile: AdminDeps['ask'] = async () => ({
  ok: false,
  status: 503,
  detail: 'this proxy has no configuration file',
});

/** A drain begins with this pause, so that a client that is just connecting is not refused. */
const GRACE_MS = 500;

/** How long a shutdown waits for the collector to take the last traces. */
const LAST_EXPORT_MS = 2_000;

/** Routes that a reload builds in one turn of the event loop: some milliseconds of work, for which calls wait. */
const ROUTES_PER_TURN = 25;

/** `leaving`: calls are served, but `/readyz` fails, so that load balancers stop sending. `draining`: only running calls continue. */
type Phase = 'starting' | 'ready' | 'leaving' | 'draining';

/** The running proxy: the composition root of all parts except the commands. */
export class App {
  readonly #deps: AppDeps;
  readonly #state = new RetainedState();
  readonly #memory: ByteBudget;
  readonly #metrics: Metrics;
  readonly #tracing: Tracing;
  readonly #events: OperatorEvents;
  readonly #watches: Watches;
  readonly #calls: CallHistory;
  readonly #traffic: Traffic;
  readonly #listener: Listener;
  readonly #durable: DurableSide;
  /** The state that replicas share; undefined: none. */
  readonly #fleet: FleetSide | undefined;
  /** The memory of quotas over a restart; undefined: replicas share it, or each of several has its own. */
  readonly #memories: QuotaMemories | undefined;
  #config: Config;
  #door: Door;
  #observer: Observer;
  #assembly: Assembly;
  #phase: Phase = 'starting';
  /** Ends the waits of calls. */
  readonly #draining = new Abort();
  readonly #startedAt: number;
  #loadedAt: number;
  /** The latest reload, if it was refused. */
  #refusedReload: RefusedReload | undefined;
  #runningReload: Promise<void> = Promise.resolve();
  /** It has not begun yet. */
  #nextReload: Promise<LoadResult> | undefined;
  #server: AppServer | undefined;
  #admin: HttpServer | undefined;
  #metricsServer: HttpServer | undefined;

  /** Starts both servers. Rejects with the system's error (EADDRINUSE, EACCES …) if an address is not available. */
  static async start(config: Config, deps: AppDeps): Promise<App> {
    const app = new App(config, deps);
    try {
      await app.#tracing.setUp(tracingSetup(config));
      app.#events.setUp(config.events);
      app.#watches.setUp(config);
      await Promise.all([app.#durable.setUp(app.#durableSetup()), app.#fleet?.start()]);
      await app.#listen();
    } catch (error) {
      await app.stop(0);
      throw error;
    }
    return app;
  }

  private constructor(config: Config, deps: AppDeps) {
    this.#config = config;
    this.#door = new Door(config.clients.tokens);
    this.#deps = deps;
    const { clock, version } = deps;
    this.#memory = new ByteBudget(config.bodyMemoryBytes);
    const state = stateSource(() => this.#assembly.upstreams, this.#memory, clock);
    const durable = () => this.#durable.snapshot();
    const storeWorking = () => this.#durable.storeWorking;
    const { droppedLogLines } = deps;
    const traceSpans = () => this.#tracing.counts;
    const shared = () => this.#fleet?.snapshot();
    this.#metrics = new Metrics({
      version,
      nodeVersion,
      state: { ...state, durable, storeWorking, droppedLogLines, traceSpans, shared },
    });
    this.#calls = new CallHistory(clock, { slowMs: config.log.slowMs });
    this.#traffic = new Traffic(clock, (name) => trafficSample(this.#assembly.upstreams, name, clock.now()));
    this.#startedAt = clock.wallTime();
    this.#loadedAt = this.#startedAt;
    this.#tracing = new Tracing(deps);
    this.#events = new OperatorEvents({ ...deps, observer: this.#delegate });
    this.#watches = new Watches({ ...deps, durable, report: (event) => this.#events.report(event) });
    this.#observer = this.#observers(config);
    this.#memories = remembersQuotas(config) ? new QuotaMemories(deps) : undefined;
    this.#durable = new DurableSide({
      ...deps,
      observer: this.#delegate,
      trace: (job) => this.#tracing.follow(job),
      memory: this.#memory,
      onStore: async (store) => this.#memories?.open(store),
      isAdmin: (headers) => hasToken(headerOf(headers, 'authorization'), this.#config.admin.token),
    });
    this.#fleet = config.shared && new FleetSide(config.shared, { ...deps, observer: this.#delegate });
    this.#fleet?.onReset((upstream) => void this.#resetQuota(upstream));
    this.#assembly = atOnce(this.#assemble(config));
    this.#metrics.configLoaded('success', clock.wallTime());
    this.#listener = this.#newListener();
  }

  #newListener(): Listener {
    const { clock, logger } = this.#deps;
    const newId = idSource();
    return new Listener({
      clock,
      newId,
      observer: this.#delegate,
      memory: this.#memory,
      via: `1.1 breakwater-${newId().slice(0, 8)}`,
      door: () => this.#door,
      router: () => this.#assembly.router,
      logPath: () => this.#config.log.path,
      beginTrace: (traceparent, route) => this.#tracing.begin(traceparent, route),
      leaving: () => this.#phase === 'leaving' || this.#phase === 'draining',
      draining: () => this.#phase === 'draining',
      responseHeaders: () => this.#config.responseHeaders,
      bodyTimeoutMs: () => this.#config.clients.bodyTimeoutMs,
      minBytesPerSecond: () => this.#config.clients.minBytesPerSecond,
      sendTimeoutMs: () => this.#config.clients.sendTimeoutMs,
      onBug: (error, record) =>
        logger.error(
          { error, id: record?.info.id, route: record?.info.route },
          'a call failed because of a bug in the proxy',
        ),
    });
  }

  /** The URL for apps, without a trailing slash. */
  get url(): string {
    return this.#server === undefined ? '' : urlOf(this.#server.http1);
  }

  get adminUrl(): string {
    return this.#admin?.url ?? '';
  }

  /** '' without the listener of `metrics`. */
  get metricsUrl(): string {
    return this.#metricsServer?.url ?? '';
  }

  /**
   * Applies a new configuration as a whole, or not at all if it is invalid. Running calls continue with the old one. One reload
   * runs at a time. All that are requested during it share the next one, which reads the files again.
   */
  reload(): Promise<LoadResult> {
    this.#nextReload ??= this.#runningReload.then(() => {
      this.#nextReload = undefined;
      const reload = this.#reload();
      this.#runningReload = reload.then(
        () => undefined,
        () => undefined,
      );
      return reload;
    });
    return this.#nextReload;
  }

  async #reload(): Promise<LoadResult> {
    const { clock, logger } = this.#deps;
    const loaded = await this.#load();
    const result = loaded.ok ? await this.#follow(loaded) : loaded;
    if (this.#phase === 'draining') return { ok: false, errors: ['the proxy is shutting down'] };
    this.#metrics.configLoaded(result.ok ? 'success' : 'failure', clock.wallTime());
    const event = reloadEvent(result, this.#refusedReload !== undefined);
    if (event !== undefined) this.#events.report(event);
    this.#refusedReload = result.ok ? undefined : { at: clock.wallTime(), problems: result.errors };
    if (result.ok) return result;
    for (const error of result.errors) logger.error({}, error);
    logger.error(
      { problems: result.errors.length },
      'the new configuration is refused; the running one stays in use',
    );
    return result;
  }

  async #load(): Promise<LoadResult> {
    try {
      return await this.#deps.load(this.#config);
    } catch (error) {
      return { ok: false, errors: [`the configuration could not be read: ${reasonOf(error)}`] };
    }
  }

  /** Builds and applies a loaded configuration. An exception is a bug, and must not end calls of the running configuration. */
  async #follow(loaded: Extract<LoadResult, { ok: true }>): Promise<LoadResult> {
    const { logger } = this.#deps;
    try {
      const assembly = await inSlices(this.#assemble(loaded.config), ROUTES_PER_TURN);
      if (this.#phase === 'draining') return loaded;
      this.#apply(loaded.config, assembly);
      await this.#setUpTracing(loaded.config);
      for (const warning of loaded.warnings) logger.warn({}, warning);
      return loaded;
    } catch (error) {
      logger.error({ error }, 'a reload failed because of a bug in the proxy');
      const why = `the configuration could not be applied because of a bug in the proxy: ${reasonOf(error)}`;
      return { ok: false, errors: [why] };
    }
  }

  /** The configuration is in use already, so without traces its calls go on. */
  async #setUpTracing(config: Config): Promise<void> {
    try {
      await this.#tracing.setUp(tracingSetup(config));
    } catch (error) {
      this.#deps.logger.error({ error }, 'tracing could not be set up');
    }
  }

  /** Shuts down at an operator's request: serves for `drain_delay` with readiness false, then drains for `drain_timeout`. */
  async leave(): Promise<void> {
    const { drainDelayMs } = this.#config;
    this.#phase = 'leaving';
    if (drainDelayMs > 0) {
      this.#deps.logger.info(
        {},
        `shutting down: calls are served for another ${formatDuration(drainDelayMs)} (drain_delay)`,
      );
      await this.#pause(drainDelayMs);
    }
    await this.stop();
  }

  /**
   * Drains: readiness turns false, and calls in backoff end with their last result. After a short grace period, new
   * connections are refused. Running calls get `timeoutMs` (default: `drain_timeout`), then a 503, or an abort within a body.
   * 0 aborts at once.
   */
  async stop(timeoutMs: number = this.#config.drainTimeoutMs): Promise<void> {
    this.#phase = 'draining';
    const drained = Promise.all([this.#listener.idle(), this.#durable.drain()]);
    this.#draining.abort(shuttingDown());
    const grace = Math.min(GRACE_MS, timeoutMs);
    await this.#pause(grace);
    const closed = closeServer(this.#server);
    await Promise.race([drained, this.#pause(timeoutMs - grace)]);
    this.#listener.abortAll(shuttingDown());
    // Time to answer the aborted calls.
    await Promise.race([drained, this.#pause(grace)]);
    cutClients(this.#server);
    await closed;
    await this.#memories?.close();
    await this.#durable.close();
    // Calls without a client release their keys, which the replicas share.
    for (const upstream of this.#assembly.upstreams) upstream.close();
    await this.#fleet?.close();
    this.#watches.close();
    this.#events.close();
    await Promise.race([this.#tracing.close(), this.#pause(Math.min(LAST_EXPORT_MS, timeoutMs))]);
    await Promise.all([this.#admin?.close(), this.#metricsServer?.close()]);
  }

  #pause(ms: number): Promise<void> {
    return ms > 0 ? this.#deps.clock.sleep(ms, new Abort()) : Promise.resolve();
  }

  async #listen(): Promise<void> {
    const { admin, clients, metrics, tls, listen: address } = this.#config;
    const deps = this.#adminDeps();
    this.#admin = await startAdmin({ ...admin, deps });
    if (metrics !== undefined) this.#metricsServer = await startMetrics(metrics, deps);
    const { handle, serve, upgrade } = this.#listener;
    this.#server = await listen(
      { address, tls, ...clients },
      {
        handle,
        upgrade,
        serve,
        clock: this.#deps.clock,
        malformed: (socket, why) => this.#listener.malformed(socket, why),
        onAcceptError: (error) => this.#deps.logger.warn({ error }, 'a connection could not be accepted'),
      },
    );
    this.#phase = 'ready';
    // Warmed up at the start, because it would delay running calls at the first scrape.
    void this.#metrics.warm();
  }

  #adminDeps(): AdminDeps {
    const state = stateSource(() => this.#assembly.upstreams, this.#memory, this.#deps.clock);
    return {
      metrics: this.#metrics,
      state: {
        ...state,
        shared: () => this.#fleet?.snapshot(),
        quotaMemory: () => this.#memories?.snapshot(),
      },
      calls: this.#calls,
      traffic: this.#traffic,
      clock: this.#deps.clock,
      about: () => ({
        version: this.#deps.version,
        file: this.#config.file,
        startedAt: this.#startedAt,
        loadedAt: this.#loadedAt,
        refusedReload: this.#refusedReload,
        clients: this.#config.clients.tokens.length > 0 ? this.#config.clients.tokens : undefined,
      }),
      logger: this.#deps.logger,
      readiness: () => (this.#phase !== 'ready' || this.#durable.healthy ? this.#phase : 'store_failed'),
      durable: this.#durable,
      forceBreaker: (upstream, force) => this.#forceBreaker(upstream, force),
      resetQuota: (upstream) => {
        this.#fleet?.tellReset(upstream);
        return this.#resetQuota(upstream);
      },
      setTarget: (upstream, target, to) => this.#upstream(upstream)?.targets?.set(target, to) === true,
      reload: () => this.reload(),
      config: () => shownConfig(this.#config),
      ask: this.#deps.ask ?? noFile,
    };
  }

  #assemble(config: Config): Steps<Assembly> {
    const { clock, random } = this.#deps;
    return assemble(config, {
      clock,
      random,
      draining: this.#draining,
      observer: this.#delegate,
      memory: this.#memory,
      state: this.#state,
      durable: this.#durable,
      shareOf: (client) => this.#door.shareOf(client),
      fleet: this.#fleet,
      memories: this.#memories,
    });
  }

  #apply(config: Config, assembly: Assembly): void {
    const { logger } = this.#deps;
    const running = this.#config;
    // An unchanged configuration is applied too, so that an unavailable store is tried again.
    const unchanged = isDeepStrictEqual(this.#config, config);
    if (!isDeepStrictEqual(addressesOf(running), addressesOf(config))) {
      logger.warn(
        {},
        'changes of listen, admin and metrics addresses require a restart; the running ones stay in use',
      );
    }
    if (!isDeepStrictEqual(this.#fleet?.options, config.shared))
      logger.warn({}, 'changes of shared require a restart; the running values stay in use');
    if (this.#server !== undefined) {
      followTls(this.#server.http1, { from: this.#config.tls, to: config.tls, logger });
      limitClients(this.#server.http1, config.clients);
    }
    this.#config = config;
    this.#door = new Door(config.clients.tokens);
    this.#loadedAt = this.#deps.clock.wallTime();
    this.#memory.limit = config.bodyMemoryBytes;
    logger.setLevel(config.log.level);
    this.#observer = this.#observers(config);
    this.#assembly = assembly;
    this.#events.setUp(config.events);
    this.#watches.setUp(config);
    this.#durable
      .setUp(this.#durableSetup())
      .catch((error: unknown) =>
        logger.error({ error }, 'the store of durable requests could not be opened'),
      );
    const names = new Map(
      config.upstreams.map(({ name, targets = [] }) => [name, new Set(targets.map((one) => one.name))]),
    );
    this.#metrics.retain(names, new Set(config.clients.tokens.map(({ name }) => name)));
    this.#traffic.retain(new Set(names.keys()));
    logger.info(
      { upstreams: config.upstreams.length },
      unchanged ? 'configuration unchanged after reload' : 'configuration reloaded',
    );
  }

  #durableSetup() {
    const { durable: process, log, schedules } = this.#config;
    return { process, schedules, routes: this.#assembly.durable, logged: log.requests !== 'none' };
  }

  #observers({ log: { requests, slowMs } }: Config): Observer {
    const { logger, observer = {} } = this.#deps;
    this.#calls.slowMs = slowMs;
    return combine(
      this.#metrics,
      this.#traffic,
      this.#calls,
      this.#tracing,
      this.#events,
      logCalls(logger, { requests, slowMs }),
      observer,
    );
  }

  /** The observer for parts that outlive a configuration. */
  readonly #delegate: Observer = delegate(() => this.#observer);

  #upstream(name: string): RunningUpstream | undefined {
    return this.#assembly.upstreams.find((upstream) => upstream.name === name);
  }

  #resetQuota(name: string): boolean {
    const upstream = this.#upstream(name);
    if (upstream === undefined) return false;
    for (const { quota } of scopesOf(upstream)) quota?.reset();
    upstream.tenants?.forgetQuotas();
    return true;
  }

  #forceBreaker(name: string, force: BreakerForce): boolean {
    const upstream = this.#upstream(name);
    if (upstream === undefined) return false;
    upstream.tenants?.force(force);
    for (const { breakerHandle } of upstream.scopes)
      breakerHandle?.breaker?.force(force, this.#deps.clock.now());
    return true;
  }
}

const addressesOf = ({ listen, admin, metrics }: Config) => [listen, admin, metrics];

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
