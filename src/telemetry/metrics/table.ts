import { METRICS } from './families.ts';

/** Every metric of ours as a Markdown table, for docs/metrics.md. */
export function renderMetricsTable(): string {
  const rows = METRICS.map(({ name, labels, help }) => {
    const shown = labels.length === 0 ? name : `${name}{${labels.join(',')}}`;
    return `| \`${shown}\` | ${help} |`;
  });
  return ['| Metric | Meaning |', '| --- | --- |', ...rows, ''].join('\n');
}
