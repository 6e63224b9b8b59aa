import { DURATION_BUCKETS, type MetricSpec } from './catalog.ts';
import type { CounterCell, Exemplar, Family, HistogramCell } from './cells.ts';

/**
 * `text`: Prometheus' text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). `openmetrics`: OpenMetrics
 * 1.0.0, which alone has exemplars.
 */
export type Format = 'text' | 'openmetrics';

export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** Each string is one or more whole lines. */
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

/** In OpenMetrics, `_total` is part of a counter's sample, and not of its name. */
export function* counterLines({ spec, cells }: Family<CounterCell>, format: Format): Lines {
  const name = format === 'openmetrics' ? spec.name.replace(/_total$/, '') : spec.name;
  yield head({ ...spec, name }, 'counter');
  for (const cell of cells) yield line(spec.name, cell.text, cell.value);
}

export function* histogramLines({ spec, cells }: Family<HistogramCell>, format: Format): Lines {
  yield head(spec, 'histogram');
  const bounds = [...(spec.buckets ?? DURATION_BUCKETS), '+Inf'];
  for (const { text, counts, sum, exemplars } of cells) {
    const before = `${spec.name}_bucket{${text}${text === '' ? '' : ','}le="`;
    let lines = '';
    let below = 0;
    for (const [bucket, bound] of bounds.entries()) {
      below += counts[bucket] ?? 0;
      const exemplar = format === 'openmetrics' ? exemplarText(exemplars?.[bucket]) : '';
      lines += `${before}${bound}"} ${below}${exemplar}\n`;
    }
    yield lines + line(`${spec.name}_sum`, text, sum) + line(`${spec.name}_count`, text, below);
  }
}

function exemplarText(exemplar: Exemplar | undefined): string {
  if (exemplar === undefined) return '';
  const { at, traceId, value } = exemplar;
  return ` # {trace_id="${traceId}"} ${value} ${at.toFixed(3)}`;
}

/** The text of prom-client as OpenMetrics. It has a mode for that, which changes the names of its metrics for good. */
export function asOpenMetrics(text: string): string {
  return text.replaceAll(/^# (HELP|TYPE) (\w+)_total /gm, '# $1 $2 ').replaceAll('\n\n', '\n');
}

/** The format that a scraper prefers, by its `Accept` (RFC 9110 §12.5.1). */
export function formatFor(accept: string | undefined): Format {
  const ranges = (accept ?? '').split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const q = parameters.find((parameter) => parameter.startsWith('q='));
    return { type, q: q === undefined ? 1 : Number(q.slice(2)) };
  });
  const best = (...types: string[]) =>
    Math.max(0, ...ranges.filter(({ type }) => types.includes(type)).map(({ q }) => q));
  const openmetrics = best('application/openmetrics-text');
  return openmetrics > 0 && openmetrics >= best('text/plain', 'text/*') ? 'openmetrics' : 'text';
}
