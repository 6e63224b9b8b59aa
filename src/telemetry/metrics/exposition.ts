import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValueWithName,
  Registry,
} from 'prom-client';
import type { DurableSnapshot, ScopeSnapshot, StateSource, UpstreamSnapshot } from '../snapshot.ts';
import {
  BUCKET_GAUGES,
  DURABLE_GAUGES,
  DURATION_BUCKETS,
  GAUGES,
  type MetricSpec,
  SCOPE,
  SCOPE_GAUGES,
  UNWANTED_DEFAULTS,
  UPSTREAM_GAUGES,
} from './catalog.ts';
import type { CounterCell, Family, HistogramCell, Labels } from './cells.ts';
import { allCounters, allHistograms, type Families } from './families.ts';

export interface LastLoad {
  readonly successful: boolean;
  /** Seconds since the Unix epoch. */
  readonly successAt: number;
}

export interface ExpositionSources {
  readonly state: StateSource;
  readonly lastLoad: () => LastLoad;
  readonly build: { readonly version: string; readonly node: string };
}

/** Sampling interval of the event loop's delay: short enough to see a stall, long enough to cost nothing when idle. */
const EVENT_LOOP_SAMPLE_MS = 20;

const BREAKER_STATES = ['closed', 'open', 'half_open'] as const;

type Sample = readonly [labels: Labels, value: number];

/** Passes counts, the state of policies and figures of the process to prom-client, which writes the text. */
export class Exposition {
  readonly #registry = new Registry();
  readonly #state: StateSource;
  /** Read once per scrape, so that all gauges show the same moment. */
  #upstreams: readonly UpstreamSnapshot[] = [];
  #durable: DurableSnapshot | undefined;

  constructor(families: Families, { state, lastLoad, build }: ExpositionSources) {
    this.#state = state;
    for (const family of allCounters(families)) this.#counter(family);
    for (const family of allHistograms(families)) this.#registry.registerMetric(new CellHistogram(family));
    this.#stateGauges();
    this.#durableGauges();
    this.#gauge(GAUGES.bufferedBytes, () => single(state.bufferedBytes()));
    this.#gauge(GAUGES.lastReloadSuccessful, () => single(Number(lastLoad().successful)));
    this.#gauge(GAUGES.lastReloadSuccess, () => single(lastLoad().successAt));
    this.#gauge(GAUGES.buildInfo, () => [[build, 1]]);
    collectDefaultMetrics({
      register: this.#registry,
      eventLoopMonitoringPrecision: EVENT_LOOP_SAMPLE_MS,
    });
    for (const name of UNWANTED_DEFAULTS) this.#registry.removeSingleMetric(name);
  }

  async text(): Promise<string> {
    this.#durable = await this.#state.durable?.();
    this.#upstreams = [...this.#state.upstreams()];
    return this.#registry.metrics();
  }

  #durableGauges(): void {
    this.#gauge(DURABLE_GAUGES.durableRequests, () =>
      (this.#durable?.requests ?? []).map(({ count, ...labels }): Sample => [labels, count]),
    );
    this.#gauge(DURABLE_GAUGES.durableOldestDue, () =>
      (this.#durable?.oldestDue ?? []).map(({ seconds, ...labels }): Sample => [labels, seconds]),
    );
    this.#gauge(DURABLE_GAUGES.storeBytes, () => {
      const bytes = this.#durable?.storeBytes;
      return bytes === undefined ? [] : single(bytes);
    });
  }

  #stateGauges(): void {
    for (const { name, help, read } of SCOPE_GAUGES) {
      this.#gauge({ name, help, labels: SCOPE }, () =>
        this.#eachScope((labels, scope) => {
          const value = read(scope);
          return value === undefined ? [] : [[labels, value]];
        }),
      );
    }
    for (const { name, help, read } of BUCKET_GAUGES) {
      this.#gauge({ name, help, labels: [...SCOPE, 'bucket'] }, () =>
        this.#eachScope((labels, { quota }) =>
          (quota?.scarcest ?? []).flatMap((bucket): Sample[] => {
            const value = read(bucket);
            return value === undefined ? [] : [[{ ...labels, bucket: bucket.bucket }, value]];
          }),
        ),
      );
    }
    for (const { name, help, read } of UPSTREAM_GAUGES) {
      this.#gauge({ name, help, labels: ['upstream'] }, () =>
        this.#upstreams.map((upstream): Sample => [{ upstream: upstream.name }, read(upstream)]),
      );
    }
    this.#gauge(GAUGES.breakerState, () =>
      this.#eachScope((labels, { breaker }) =>
        breaker === undefined
          ? []
          : BREAKER_STATES.map((state): Sample => [{ ...labels, state }, state === breaker.state ? 1 : 0]),
      ),
    );
  }

  #eachScope(read: (labels: Labels, scope: ScopeSnapshot) => readonly Sample[]): Sample[] {
    return this.#upstreams.flatMap(({ name, scopes }) =>
      scopes.flatMap((scope) => read({ upstream: name, scope: scope.scope }, scope)),
    );
  }

  /** Starts empty at each scrape, so that removed upstreams disappear. */
  #gauge({ name, help, labels }: MetricSpec, read: () => readonly Sample[]): void {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames: labels,
      registers: [this.#registry],
      collect: () => {
        gauge.reset();
        for (const [values, value] of read()) gauge.set(values, value);
      },
    });
  }

  #counter(family: Family<CounterCell>): void {
    const { name, help, labels } = family.spec;
    const counter: Counter = new Counter({
      name,
      help,
      labelNames: labels,
      registers: [this.#registry],
      collect: () => {
        counter.reset();
        for (const cell of family.cells) counter.inc(cell.labels, cell.value);
      },
    });
  }
}

function single(value: number): readonly Sample[] {
  return [[{}, value]];
}

type Values = MetricObjectWithValues<MetricValueWithName<string>>;

/** A prom-client histogram with observations from `HistogramCell`. */
class CellHistogram extends Histogram {
  readonly #family: Family<HistogramCell>;

  constructor(family: Family<HistogramCell>) {
    const { name, help, labels, buckets = DURATION_BUCKETS } = family.spec;
    super({ name, help, labelNames: labels, buckets: [...buckets], registers: [] });
    this.#family = family;
  }

  override get(): Promise<Values> {
    return this.getForPromString();
  }

  /** The registry prefers it to `get` when it writes text. */
  getForPromString(): Promise<Values> {
    const { name, help } = this.#family.spec;
    const values = this.#family.cells.flatMap((cell) => this.#series(cell));
    // The library's types say a numeric enum, but its code writes the word.
    return Promise.resolve({ name, help, type: 'histogram', aggregator: 'sum', values } as unknown as Values);
  }

  #series({ labels, counts, sum }: HistogramCell): MetricValueWithName<string>[] {
    const { name, buckets = DURATION_BUCKETS } = this.#family.spec;
    let below = 0;
    const series: MetricValueWithName<string>[] = counts.map((count, bucket) => {
      below += count;
      const le = buckets[bucket] ?? '+Inf';
      return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: below };
    });
    series.push({ metricName: `${name}_sum`, labels, value: sum });
    series.push({ metricName: `${name}_count`, labels, value: below });
    return series;
  }
}
