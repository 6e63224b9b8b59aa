import type { ErrorCode } from '../../proxy/errors.ts';
import { STATE_METRICS, type StateEvent } from '../../proxy/events.ts';
import type { NoteName } from '../../proxy/notes.ts';
import type { AttemptEntry } from '../attempt-entry.ts';
import type { CallRecord, Observer, Place } from '../call-record.ts';
import type { StateSource } from '../snapshot.ts';
import type { Labels } from './cells.ts';
import type { Exposition, LastLoad } from './exposition.ts';
import { allCounters, allHistograms, createFamilies } from './families.ts';
import { CONTENT_TYPES, type Format, formatFor } from './text-format.ts';
import { RouteMetrics } from './route-metrics.ts';

export interface MetricsOptions {
  readonly version: string;
  readonly nodeVersion: string;
  readonly state: StateSource;
}

/** Counts events and writes them in Prometheus' text format. The number of series depends only on the configuration. */
export class Metrics implements Observer {
  readonly #options: MetricsOptions;
  readonly #families = createFamilies();
  /** By upstream, then by route. */
  readonly #routes = new Map<string, Map<string, RouteMetrics>>();
  readonly #droppedLines = this.#families.counters.logLinesDropped.series({});
  #lastLoad: LastLoad = { successful: false, successAt: 0 };
  #exposition: Promise<Exposition> | undefined;

  constructor(options: MetricsOptions) {
    this.#options = options;
    for (const result of ['success', 'failure']) this.#families.counters.configReloads.series({ result });
  }

  attemptStarted(entry: AttemptEntry, place: Place): void {
    this.#routeOf(place).attemptStarted(entry);
  }

  attemptEnded(result: number | ErrorCode, ms: number, place: Place): void {
    this.#routeOf(place).attemptEnded(result, ms, place.targetName);
  }

  noted(name: NoteName, value: string | number, place: Place): void {
    this.#routeOf(place).noted(name, value);
  }

  callEnded(record: CallRecord): void {
    this.#routeOf(record.info).ended(record);
  }

  stateChanged(upstream: string, event: StateEvent): void {
    const { stateCounters, stateHistograms } = this.#families;
    const labels = labelsOf(upstream, event);
    const counter = stateCounters.get(event.type);
    if (counter !== undefined) counter.series(labels).value++;
    else if ('ms' in event)
      stateHistograms
        .get(event.type)
        ?.series(labels)
        .observe(event.ms / 1000);
  }

  /** Counts a loaded configuration (also the first) or a refused one, at `wallMs` since the Unix epoch. */
  configLoaded(result: 'success' | 'failure', wallMs: number): void {
    this.#families.counters.configReloads.series({ result }).value++;
    const successful = result === 'success';
    this.#lastLoad = { successful, successAt: successful ? wallMs / 1000 : this.#lastLoad.successAt };
  }

  /**
   * Removes the counters of upstreams, targets and clients that a reload removed, so that many reloads do not accumulate series.
   * `upstreams`: names, with the names of their targets.
   */
  retain(upstreams: ReadonlyMap<string, ReadonlySet<string>>, clients: ReadonlySet<string>): void {
    const stays = ({ upstream = '', target = '', client = '' }: Labels) => {
      const targets = upstreams.get(upstream);
      if (upstream !== '' && targets === undefined) return false;
      return (target === '' || targets?.has(target) === true) && (client === '' || clients.has(client));
    };
    for (const family of allCounters(this.#families)) family.retain(stays);
    for (const family of allHistograms(this.#families)) family.retain(stays);
    for (const upstream of this.#routes.keys()) {
      if (upstream !== '' && !upstreams.has(upstream)) this.#routes.delete(upstream);
    }
    for (const routes of this.#routes.values()) for (const metrics of routes.values()) metrics.forgetSeries();
  }

  /** A scrape, in the format that its `Accept` prefers. */
  scrape(accept: string | undefined): {
    readonly contentType: string;
    readonly pieces: AsyncIterable<string>;
  } {
    const format = formatFor(accept);
    return { contentType: CONTENT_TYPES[format], pieces: this.#pieces(format) };
  }

  async *#pieces(format: Format): AsyncGenerator<string> {
    this.#droppedLines.value = this.#options.state.droppedLogLines?.() ?? 0;
    this.#countSpans();
    this.#countShared();
    const exposition = await this.warm();
    yield* exposition.pieces(format);
  }

  #countSpans(): void {
    const spans = this.#options.state.traceSpans?.() ?? { exported: 0, failed: 0, dropped: 0 };
    for (const [result, value] of Object.entries(spans))
      this.#families.counters.traceSpans.series({ result }).value = value;
  }

  #countShared(): void {
    const shared = this.#options.state.shared?.();
    const { sharedRoundTrips, sharedValues } = this.#families.counters;
    if (shared === undefined) return;
    const { roundTrips, values } = shared;
    for (const result of ['ok', 'late', 'failed'] as const)
      sharedRoundTrips.series({ result }).value = roundTrips[result] + (values?.roundTrips[result] ?? 0);
    for (const [kind, counts] of Object.entries(values?.counts ?? {}))
      for (const [result, value] of Object.entries(counts))
        sharedValues.series({ kind, result }).value = value;
  }

  /** Loads prom-client and starts its process metrics. It takes about 40 ms, so it comes after listening. */
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

function labelsOf(upstream: string, event: StateEvent): Labels {
  const labels: Record<string, string> = {};
  for (const label of STATE_METRICS[event.type].labels) labels[label] = labelOf(label, upstream, event);
  if (event.target !== undefined) labels['target'] = event.target;
  return labels;
}

function labelOf(label: string, upstream: string, event: StateEvent): string {
  if (label === 'upstream') return upstream;
  if (label === 'route') return event.scope.slice(upstream.length + 1);
  if (label === 'schedule') return event.scope;
  return String((event as Readonly<Record<string, unknown>>)[label]);
}
