import { COUNTERS, DURATION_BUCKETS, HISTOGRAMS, type MetricSpec } from './catalog.ts';
import { CounterCell, Family, HistogramCell, type Labels } from './cells.ts';

/** Everything that is counted as it happens (gauges are read at the scrape instead). */
export interface Families {
  readonly counters: Readonly<Record<keyof typeof COUNTERS, Family<CounterCell>>>;
  readonly histograms: Readonly<Record<keyof typeof HISTOGRAMS, Family<HistogramCell>>>;
}

export function createFamilies(): Families {
  return {
    counters: familiesOf(COUNTERS, (labels) => new CounterCell(labels)),
    histograms: familiesOf(
      HISTOGRAMS,
      (labels, { buckets }) => new HistogramCell(labels, buckets ?? DURATION_BUCKETS),
    ),
  };
}

function familiesOf<Name extends string, Cell extends { readonly labels: Labels }>(
  specs: Readonly<Record<Name, MetricSpec>>,
  create: (labels: Labels, spec: MetricSpec) => Cell,
): Record<Name, Family<Cell>> {
  const names = Object.keys(specs) as Name[];
  return Object.fromEntries(names.map((name) => [name, new Family(specs[name], create)])) as Record<
    Name,
    Family<Cell>
  >;
}
