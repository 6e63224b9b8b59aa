import { collectDefaultMetrics, Registry } from 'prom-client';
import { nextTurn } from '../../runtime/event-loop.ts';
import type { DurableSnapshot, ScopeSnapshot, StateSource, UpstreamSnapshot } from '../snapshot.ts';
import {
  BUCKET_GAUGES,
  DURABLE_GAUGES,
  GAUGES,
  SCOPE_GAUGES,
  TARGET_GAUGES,
  UNWANTED_DEFAULTS,
  UPSTREAM_GAUGES,
} from './catalog.ts';
import { allCounters, allHistograms, type Families } from './families.ts';
import { labelText } from './label-text.ts';
import {
  asOpenMetrics,
  counterLines,
  type Format,
  gaugeLines,
  histogramLines,
  type Lines,
  type Sample,
} from './text-format.ts';

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

/** Characters that are written in one turn of the event loop: about a millisecond. Thousands of routes have millions. */
const PIECE_CHARS = 65_536;

/** Upstreams whose state is read in one turn of the event loop. */
const UPSTREAMS_PER_TURN = 50;

export const BREAKER_STATES = ['closed', 'open', 'half_open'] as const;

/** The state that one scrape shows. Each set of policy state is read at one moment. */
interface Scrape {
  readonly upstreams: readonly UpstreamSnapshot[];
  readonly scopes: readonly { readonly labels: string; readonly scope: ScopeSnapshot }[];
  readonly durable: DurableSnapshot | undefined;
  readonly storeWorking: boolean | undefined;
}

/**
 * Writes counts, the state of policies and the figures of the process as text. prom-client gives the figures of the process. It is
 * not used for the rest, because it takes ten times as long, and all of it in one turn of the event loop.
 */
export class Exposition {
  readonly #registry = new Registry();
  readonly #families: Families;
  readonly #sources: ExpositionSources;

  constructor(families: Families, sources: ExpositionSources) {
    this.#families = families;
    this.#sources = sources;
    collectDefaultMetrics({
      register: this.#registry,
      eventLoopMonitoringPrecision: EVENT_LOOP_SAMPLE_MS,
    });
    for (const name of UNWANTED_DEFAULTS) this.#registry.removeSingleMetric(name);
  }

  /** The text in pieces. Other work can run between two of them. */
  async *pieces(format: Format): AsyncGenerator<string> {
    let piece = '';
    for (const lines of this.#lines(await this.#scrape(), format)) {
      piece += lines;
      if (piece.length < PIECE_CHARS) continue;
      yield piece;
      piece = '';
      await nextTurn();
    }
    const own = await this.#registry.metrics();
    yield format === 'text' ? piece + own : `${piece}${asOpenMetrics(own)}# EOF\n`;
  }

  async #scrape(): Promise<Scrape> {
    const { state } = this.#sources;
    const durable = await state.durable?.();
    const upstreams: UpstreamSnapshot[] = [];
    for (const upstream of state.upstreams()) {
      upstreams.push(upstream);
      if (upstreams.length % UPSTREAMS_PER_TURN === 0) await nextTurn();
    }
    const scopes = upstreams.flatMap(({ name, scopes: own }) =>
      own.map((scope) => ({ labels: labelText(labelsOf(name, scope)), scope })),
    );
    return { upstreams, scopes, durable, storeWorking: state.storeWorking?.() };
  }

  *#lines(scrape: Scrape, format: Format): Lines {
    for (const family of allCounters(this.#families)) yield* counterLines(family, format);
    for (const family of allHistograms(this.#families)) yield* histogramLines(family, format);
    yield* stateLines(scrape);
    if (scrape.durable !== undefined) yield* durableLines(scrape.durable);
    yield* gaugeLines(
      DURABLE_GAUGES.storeWorking,
      samples([scrape.storeWorking], (working) => [
        ['', working === undefined ? undefined : Number(working)],
      ]),
    );
    yield* this.#processLines();
  }

  *#processLines(): Lines {
    const { state, lastLoad, build } = this.#sources;
    const { successful, successAt } = lastLoad();
    yield* gaugeLines(GAUGES.bufferedBytes, [['', state.bufferedBytes()]]);
    const shared = [state.shared?.()].filter((one) => one !== undefined);
    yield* gaugeLines(
      GAUGES.sharedUsed,
      shared.map(({ away }): Sample => ['', Number(away === undefined)]),
    );
    yield* gaugeLines(
      GAUGES.sharedValuesUsed,
      shared.flatMap(({ values }): Sample[] =>
        values === undefined ? [] : [['', Number(values.away === undefined)]],
      ),
    );
    yield* gaugeLines(
      GAUGES.sharedReplicas,
      shared.map(({ replicas }): Sample => ['', replicas]),
    );
    yield* gaugeLines(GAUGES.lastReloadSuccessful, [['', Number(successful)]]);
    yield* gaugeLines(GAUGES.lastReloadSuccess, [['', successAt]]);
    yield* gaugeLines(GAUGES.buildInfo, [[labelText(build), 1]]);
  }
}

const labelsOf = (upstream: string, { scope, target }: ScopeSnapshot) =>
  target === undefined ? { upstream, scope } : { upstream, scope, target };

function* stateLines({ upstreams, scopes }: Scrape): Lines {
  for (const gauge of SCOPE_GAUGES) {
    yield* gaugeLines(
      gauge,
      samples(scopes, ({ labels, scope }) => [[labels, gauge.read(scope)]]),
    );
  }
  for (const gauge of BUCKET_GAUGES) {
    yield* gaugeLines(
      gauge,
      samples(scopes, ({ labels, scope }) =>
        (scope.quota?.scarcest ?? []).map((bucket) => [
          `${labels},${labelText({ bucket: bucket.bucket })}`,
          gauge.read(bucket),
        ]),
      ),
    );
  }
  for (const gauge of UPSTREAM_GAUGES) {
    yield* gaugeLines(
      gauge,
      samples(upstreams, (upstream) => [[labelText({ upstream: upstream.name }), gauge.read(upstream)]]),
    );
  }
  for (const gauge of TARGET_GAUGES) {
    yield* gaugeLines(
      gauge,
      samples(upstreams, ({ name: upstream, targets = [] }) =>
        targets.map((target) => [labelText({ upstream, target: target.name }), gauge.read(target)]),
      ),
    );
  }
  yield* gaugeLines(
    GAUGES.breakerState,
    samples(scopes, ({ labels, scope: { breaker } }) =>
      BREAKER_STATES.map((state) => [
        `${labels},state="${state}"`,
        breaker && (state === breaker.state ? 1 : 0),
      ]),
    ),
  );
}

function* durableLines({ requests, oldestDue, storeBytes }: DurableSnapshot): Lines {
  yield* gaugeLines(
    DURABLE_GAUGES.durableRequests,
    samples(requests, ({ count, ...labels }) => [[labelText(labels), count]]),
  );
  yield* gaugeLines(
    DURABLE_GAUGES.durableOldestDue,
    samples(oldestDue, ({ seconds, ...labels }) => [[labelText(labels), seconds]]),
  );
  yield* gaugeLines(
    DURABLE_GAUGES.storeBytes,
    samples([storeBytes], (bytes) => [['', bytes]]),
  );
}

/** The series of each of `all`. One without a value is left out. */
function* samples<T>(
  all: Iterable<T>,
  read: (one: T) => readonly (readonly [labels: string, value: number | undefined])[],
): Iterable<Sample> {
  for (const one of all)
    for (const [labels, value] of read(one)) if (value !== undefined) yield [labels, value];
}
