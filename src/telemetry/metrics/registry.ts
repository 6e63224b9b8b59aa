import type { ErrorCode } from '../../proxy/errors.ts';
import type { DurableEvent, StateEvent } from '../../proxy/events.ts';
import type { NoteName } from '../../proxy/notes.ts';
import type { AttemptEntry } from '../attempt-entry.ts';
import type { CallRecord, Observer, Place } from '../call-record.ts';
import type { StateSource } from '../snapshot.ts';
import type { CounterCell, Family, Labels } from './cells.ts';
import type { Exposition, LastLoad } from './exposition.ts';
import { allCounters, allHistograms, createFamilies } from './families.ts';
import { RouteMetrics } from './route-metrics.ts';

export interface MetricsOptions {
  readonly version: string;
  readonly nodeVersion: string;
  readonly state: StateSource;
}

/** Counts what happens and says it in Prometheus' text format. The number of series depends on the configuration only. */
export class Metrics implements Observer {
  /** Prometheus text exposition format. */
  readonly contentType = 'text/plain; version=0.0.4; charset=utf-8';
  readonly #options: MetricsOptions;
  readonly #families = createFamilies();
  /** By upstream, then by route. */
  readonly #routes = new Map<string, Map<string, RouteMetrics>>();
  readonly #droppedLines = this.#families.counters.logLinesDropped.add({});
  #lastLoad: LastLoad = { successful: false, successAt: 0 };
  #exposition: Promise<Exposition> | undefined;

  constructor(options: MetricsOptions) {
    this.#options = options;
    for (const result of ['success', 'failure']) this.#families.counters.configReloads.add({ result });
  }

  attemptStarted(entry: AttemptEntry, place: Place): void {
    this.#routeOf(place).attemptStarted(entry);
  }

  attemptEnded(result: number | ErrorCode, ms: number, place: Place): void {
    this.#routeOf(place).attemptEnded(result, ms);
  }

  noted(name: NoteName, value: string | number, place: Place): void {
    this.#routeOf(place).noted(name, value);
  }

  callEnded(record: CallRecord): void {
    this.#routeOf(record.info).ended(record);
  }

  stateChanged(upstream: string, event: StateEvent): void {
    const { breakerTransitions, breakerStaleResults, quotaGateClosings } = this.#families.counters;
    const { scope } = event;
    if (event.type === 'breaker_stale_result') return count(breakerStaleResults, { upstream, scope });
    if (event.type === 'quota_cooldown_started') {
      return count(quotaGateClosings, { upstream, scope, cause: event.cause });
    }
    if (event.type !== 'breaker_changed') return this.#durable(upstream, event);
    const { from, to, cause } = event;
    count(breakerTransitions, { upstream, scope, from, to, cause });
  }

  #durable(upstream: string, event: DurableEvent): void {
    const { callbacks, durableDeferrals, durablePolls, durableReclaimed, scheduleSlots } =
      this.#families.counters;
    if (event.type === 'schedule_slot')
      return count(scheduleSlots, { schedule: event.scope, result: event.result });
    if (event.type === 'callback_ended') return count(callbacks, { outcome: event.outcome });
    const route = event.scope.slice(upstream.length + 1);
    if (event.type === 'durable_deferred')
      return count(durableDeferrals, { upstream, route, reason: event.reason });
    if (event.type === 'durable_polled')
      return count(durablePolls, { upstream, route, result: event.result });
    if (event.type === 'durable_reclaimed') return count(durableReclaimed, { upstream, route });
    const { durableTimeToDone, storeCommit } = this.#families.histograms;
    if (event.type === 'store_committed')
      return (storeCommit.cells[0] ?? storeCommit.add({})).observe(event.ms / 1000);
    const labels = { upstream, route, status: event.status };
    (durableTimeToDone.cells.find(same(labels)) ?? durableTimeToDone.add(labels)).observe(event.ms / 1000);
  }

  /** A configuration was loaded (the first one too) or refused, at `wallMs` since the Unix epoch. */
  configLoaded(result: 'success' | 'failure', wallMs: number): void {
    count(this.#families.counters.configReloads, { result });
    const successful = result === 'success';
    this.#lastLoad = { successful, successAt: successful ? wallMs / 1000 : this.#lastLoad.successAt };
  }

  /** Drops the counters of upstreams that a reload took away, so that many reloads do not add up. */
  retain(upstreams: ReadonlySet<string>): void {
    const stays = (labels: Labels) => {
      const upstream = labels['upstream'];
      return upstream === undefined || upstream === '' || upstreams.has(upstream);
    };
    for (const family of allCounters(this.#families)) family.retain(stays);
    for (const family of allHistograms(this.#families)) family.retain(stays);
    for (const upstream of this.#routes.keys()) {
      if (upstream !== '' && !upstreams.has(upstream)) this.#routes.delete(upstream);
    }
  }

  /** Everything, for a scrape. */
  async text(): Promise<string> {
    this.#droppedLines.value = this.#options.state.droppedLogLines?.() ?? 0;
    return (await this.warm()).text();
  }

  /** Loads prom-client and starts its process metrics. That takes some 40 ms, so it is not done before listening. */
  warm(): Promise<Exposition> {
    this.#exposition ??= import('./exposition.ts').then(({ Exposition }) => {
      const { state, version, nodeVersion } = this.#options;
      const lastLoad = () => this.#lastLoad;
      return new Exposition(this.#families, { state, lastLoad, build: { version, node: nodeVersion } });
    });
    return this.#exposition;
  }

  #routeOf({ upstream, route }: Place): RouteMetrics {
    let routes = this.#routes.get(upstream);
    if (routes === undefined) this.#routes.set(upstream, (routes = new Map()));
    let metrics = routes.get(route);
    if (metrics === undefined) {
      metrics = new RouteMetrics(this.#families, upstream, route);
      routes.set(route, metrics);
    }
    return metrics;
  }
}

/** For what is rare: finds the series by comparing labels. */
function count(family: Family<CounterCell>, labels: Labels): void {
  (family.cells.find(same(labels)) ?? family.add(labels)).value++;
}

function same(labels: Labels): (cell: { readonly labels: Labels }) => boolean {
  return (cell) => Object.entries(labels).every(([name, value]) => cell.labels[name] === value);
}
