import type { MetricSpec } from './catalog.ts';

export type Labels = Readonly<Record<string, string>>;

/** One series of a counter. */
export class CounterCell {
  readonly labels: Labels;
  value = 0;

  constructor(labels: Labels) {
    this.labels = labels;
  }
}

/** One label set of a histogram: counts per bucket (not cumulative, the last one is +Inf), their sum in the base unit. */
export class HistogramCell {
  readonly labels: Labels;
  readonly counts: number[];
  sum = 0;
  readonly #bounds: readonly number[];

  constructor(labels: Labels, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    this.counts[bucket] = (this.counts[bucket] as number) + 1;
    this.sum += value;
  }
}

/**
 * All series of one metric. They are counted in plain numbers and passed to prom-client at a scrape, because its `inc` and
 * `observe` build a string from the labels each time. That costs several times as much as everything else.
 */
export class Family<Cell extends { readonly labels: Labels }> {
  readonly spec: MetricSpec;
  #cells: Cell[] = [];
  readonly #create: (labels: Labels, spec: MetricSpec) => Cell;

  constructor(spec: MetricSpec, create: (labels: Labels, spec: MetricSpec) => Cell) {
    this.spec = spec;
    this.#create = create;
  }

  get cells(): readonly Cell[] {
    return this.#cells;
  }

  /** A new series. Call it once per label set, and keep the series. */
  add(labels: Labels): Cell {
    const cell = this.#create(labels, this.spec);
    this.#cells.push(cell);
    return cell;
  }

  /** Removes the series for which `keep` is false. */
  retain(keep: (labels: Labels) => boolean): void {
    this.#cells = this.#cells.filter((cell) => keep(cell.labels));
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
      cell = this.#family.add({ ...this.#base, [this.#label]: value });
      this.#cells.set(value, cell);
    }
    cell.value++;
  }
}
