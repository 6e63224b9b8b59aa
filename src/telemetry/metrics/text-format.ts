import { DURATION_BUCKETS, type MetricSpec } from './catalog.ts';
import type { CounterCell, Family, HistogramCell } from './cells.ts';

/** Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/). Each string is one or more whole lines. */
export type Lines = Iterable<string>;

/** A series: its labels as `labelText` writes them, and its value. */
export type Sample = readonly [labels: string, value: number];

function head({ name, help }: Pick<MetricSpec, 'name' | 'help'>, type: string): string {
  return `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`;
}

function line(name: string, labels: string, value: number): string {
  return `${name}${labels === '' ? '' : `{${labels}}`} ${valueText(value)}\n`;
}

function valueText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

export function* gaugeLines(spec: Pick<MetricSpec, 'name' | 'help'>, samples: Iterable<Sample>): Lines {
  yield head(spec, 'gauge');
  for (const [labels, value] of samples) yield line(spec.name, labels, value);
}

export function* counterLines({ spec, cells }: Family<CounterCell>): Lines {
  yield head(spec, 'counter');
  for (const cell of cells) yield line(spec.name, cell.text, cell.value);
}

export function* histogramLines({ spec, cells }: Family<HistogramCell>): Lines {
  yield head(spec, 'histogram');
  const bounds = [...(spec.buckets ?? DURATION_BUCKETS), '+Inf'];
  for (const { text, counts, sum } of cells) {
    const before = `${spec.name}_bucket{${text}${text === '' ? '' : ','}le="`;
    let lines = '';
    let below = 0;
    for (const [bucket, bound] of bounds.entries()) {
      below += counts[bucket] ?? 0;
      lines += `${before}${bound}"} ${below}\n`;
    }
    yield lines + line(`${spec.name}_sum`, text, sum) + line(`${spec.name}_count`, text, below);
  }
}
