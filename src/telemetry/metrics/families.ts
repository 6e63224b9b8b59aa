import { STATE_METRICS, type StateEvent } from '../../proxy/events.ts';
import { NOTE_ROWS, type NoteCounter, type NoteHistogram } from '../../proxy/notes.ts';
import {
  BUCKET_GAUGES,
  COUNTERS,
  DURABLE_GAUGES,
  DURATION_BUCKETS,
  GAUGES,
  HISTOGRAMS,
  type MetricSpec,
  ROUTE,
  SCOPE,
  SCOPE_GAUGES,
  TARGET_GAUGES,
  UPSTREAM_GAUGES,
} from './catalog.ts';
import { CounterCell, Family, HistogramCell, type Labels } from './cells.ts';

/** All counters and histograms. Gauges are read at the scrape instead. */
export interface Families {
  readonly counters: Readonly<Record<keyof typeof COUNTERS, Family<CounterCell>>>;
  readonly histograms: Readonly<Record<keyof typeof HISTOGRAMS, Family<HistogramCell>>>;
  /** Metrics of notes, by their entry in the catalogue of notes. */
  readonly noteCounters: ReadonlyMap<NoteCounter, Family<CounterCell>>;
  readonly noteHistograms: ReadonlyMap<NoteHistogram, Family<HistogramCell>>;
  /** Metrics of events outside calls. */
  readonly stateCounters: ReadonlyMap<StateEvent['type'], Family<CounterCell>>;
  readonly stateHistograms: ReadonlyMap<StateEvent['type'], Family<HistogramCell>>;
}

type StateRow = readonly [type: StateEvent['type'], spec: MetricSpec];

const STATE_ROWS = Object.entries(STATE_METRICS) as StateRow[];
const isCounted = ([, { buckets }]: StateRow): boolean => buckets === undefined;
const isTimed = (row: StateRow): boolean => !isCounted(row);

const rows = Object.values(NOTE_ROWS);

/** Two notes may share a metric. */
export const NOTE_COUNTERS: ReadonlySet<NoteCounter> = new Set(rows.flatMap(({ counter }) => counter ?? []));
export const NOTE_HISTOGRAMS: ReadonlySet<NoteHistogram> = new Set(
  rows.flatMap(({ histogram }) => histogram ?? []),
);

export function createFamilies(): Families {
  return {
    counters: familiesOf(COUNTERS, counterCell),
    histograms: familiesOf(HISTOGRAMS, histogramCell),
    noteCounters: new Map(
      Array.from(NOTE_COUNTERS, (counter) => [counter, new Family(noteSpec(counter), counterCell)]),
    ),
    noteHistograms: new Map(
      Array.from(NOTE_HISTOGRAMS, (histogram) => [histogram, new Family(noteSpec(histogram), histogramCell)]),
    ),
    stateCounters: new Map(
      STATE_ROWS.filter(isCounted).map(([type, spec]) => [type, new Family(spec, counterCell)]),
    ),
    stateHistograms: new Map(
      STATE_ROWS.filter(isTimed).map(([type, spec]) => [type, new Family(spec, histogramCell)]),
    ),
  };
}

function noteSpec({ name, help, label }: NoteCounter): MetricSpec {
  return { name, help, labels: label === undefined ? ROUTE : [...ROUTE, label] };
}

/** All metrics of the proxy, by kind. */
export const METRICS: readonly MetricSpec[] = [
  ...Object.values(COUNTERS),
  ...Array.from(NOTE_COUNTERS, noteSpec),
  ...STATE_ROWS.filter(isCounted).map(([, spec]) => spec),
  ...Object.values(HISTOGRAMS),
  ...Array.from(NOTE_HISTOGRAMS, noteSpec),
  ...STATE_ROWS.filter(isTimed).map(([, spec]) => spec),
  ...SCOPE_GAUGES.map(({ name, help }) => ({ name, help, labels: SCOPE })),
  ...BUCKET_GAUGES.map(({ name, help }) => ({ name, help, labels: [...SCOPE, 'bucket'] })),
  ...UPSTREAM_GAUGES.map(({ name, help }) => ({ name, help, labels: ['upstream'] })),
  ...TARGET_GAUGES.map(({ name, help }) => ({ name, help, labels: ['upstream', 'target'] })),
  ...Object.values(GAUGES),
  ...Object.values(DURABLE_GAUGES),
];

export function allCounters({ counters, noteCounters, stateCounters }: Families): Family<CounterCell>[] {
  return [...Object.values(counters), ...noteCounters.values(), ...stateCounters.values()];
}

export function allHistograms(families: Families): Family<HistogramCell>[] {
  const { histograms, noteHistograms, stateHistograms } = families;
  return [...Object.values(histograms), ...noteHistograms.values(), ...stateHistograms.values()];
}

const counterCell = (labels: Labels, text: string): CounterCell => new CounterCell(labels, text);

const histogramCell = (labels: Labels, text: string, { buckets }: MetricSpec): HistogramCell =>
  new HistogramCell(labels, text, buckets ?? DURATION_BUCKETS);

function familiesOf<Name extends string, Cell extends { readonly labels: Labels }>(
  specs: Readonly<Record<Name, MetricSpec>>,
  create: (labels: Labels, text: string, spec: MetricSpec) => Cell,
): Record<Name, Family<Cell>> {
  const names = Object.keys(specs) as Name[];
  return Object.fromEntries(names.map((name) => [name, new Family(specs[name], create)])) as Record<
    Name,
    Family<Cell>
  >;
}
