import type { NoteRow } from '../../proxy/notes.ts';
import { CounterBy, type CounterCell, type HistogramCell, type Labels } from './cells.ts';
import type { Families } from './families.ts';

/** The series of one note on one route. */
export class NoteMetrics {
  readonly #counter: CounterCell | undefined;
  readonly #byValue: CounterBy | undefined;
  readonly #histogram: HistogramCell | undefined;
  readonly #adds: boolean;

  constructor({ counter, histogram }: NoteRow, { noteCounters, noteHistograms }: Families, base: Labels) {
    this.#adds = counter?.adds === true;
    const counters = counter && noteCounters.get(counter);
    if (counters !== undefined) {
      if (counter?.label === undefined) this.#counter = counters.series(base);
      else this.#byValue = new CounterBy(counters, base, counter.label);
    }
    this.#histogram = histogram && noteHistograms.get(histogram)?.series(base);
  }

  count(value: string | number): void {
    if (typeof value === 'number') this.#histogram?.observe(value / 1000);
    // Of `attempts=5`, the name is the label: a client chooses the number.
    else this.#byValue?.inc(nameIn(value));
    if (this.#counter !== undefined) this.#counter.value += this.#adds ? Number(value) : 1;
  }
}

function nameIn(value: string): string {
  const end = value.indexOf('=');
  return end < 0 ? value : value.slice(0, end);
}
