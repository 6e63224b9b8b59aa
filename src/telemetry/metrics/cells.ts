import type { MetricSpec } from './catalog.ts';
import { labelText } from './label-text.ts';

export type Labels = Readonly<Record<string, string>>;

/** The labels of one series. */
class Cell {
  readonly labels: Labels;
  /** The labels in the text format. */
  readonly text: string;

  constructor(labels: Labels, text: string) {
    this.labels = labels;
    this.text = text;
  }
}

/** One series of a counter. */
export class CounterCell extends Cell {
  value = 0;
}

/** One observation of a traced call, by which a point of a chart leads to its trace. */
export interface Exemplar {
  readonly traceId: string;
  readonly value: number;
  /** Seconds since the Unix epoch. */
  readonly at: number;
}

/** One label set of a histogram: counts per bucket (not cumulative, the last one is +Inf), their sum in the base unit. */
export class HistogramCell extends Cell {
  readonly counts: number[];
  sum = 0;
  /** The latest of each bucket; undefined until a traced call is observed. */
  exemplars: (Exemplar | undefined)[] | undefined;
  readonly #bounds: readonly number[];

  constructor(labels: Labels, text: string, bounds: readonly number[]) {
    super(labels, text);
    this.#bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    const bucket = this.#bucketOf(value);
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
  }

  /** Remembers an observation as an example of its bucket. */
  remember(exemplar: Exemplar): void {
    (this.exemplars ??= [])[this.#bucketOf(exemplar.value)] = exemplar;
  }

  #bucketOf(value: number): number {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    return bucket;
  }
}

/** All series of one metric, counted in plain numbers. */
export class Family<Cell extends { readonly labels: Labels }> {
  readonly spec: MetricSpec;
  readonly #cells = new Map<string, Cell>();
  readonly #create: (labels: Labels, text: string, spec: MetricSpec) => Cell;

  constructor(spec: MetricSpec, create: (labels: Labels, text: string, spec: MetricSpec) => Cell) {
    this.spec = spec;
    this.#create = create;
  }

  get cells(): Iterable<Cell> {
    return this.#cells.values();
  }

  /** The series with these labels, new if there is none. Where calls are counted, it is asked for once and kept. */
  series(labels: Labels): Cell {
    const text = labelText(labels);
    let cell = this.#cells.get(text);
    if (cell === undefined) this.#cells.set(text, (cell = this.#create(labels, text, this.spec)));
    return cell;
  }

  /** Removes the series for which `keep` is false. */
  retain(keep: (labels: Labels) => boolean): void {
    for (const [text, { labels }] of this.#cells) if (!keep(labels)) this.#cells.delete(text);
  }
}

/** Series that differ in one label, created at the first count. */
export class CounterBy {
  readonly #family: Family<CounterCell>;
  readonly #base: Labels;
  readonly #label: string;
  readonly #cells = new Map<string, CounterCell>();

  constructor(family: Family<CounterCell>, base: Labels, label: string) {
    this.#family = family;
    this.#base = base;
    this.#label = label;
  }

  inc(value: string): void {
    let cell = this.#cells.get(value);
    if (cell === undefined) {
      cell = this.#family.series({ ...this.#base, [this.#label]: value });
      this.#cells.set(value, cell);
    }
    cell.value++;
  }
}
