type Row = readonly string[];

/** A Markdown table, padded so that it also reads well in a terminal. The first `left` columns are left-aligned. */
export function markdownTable(head: Row, rows: readonly Row[], left = 1): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const padded = (text: string, i: number) => {
    const width = widths[i] ?? 0;
    return i < left ? text.padEnd(width) : text.padStart(width);
  };
  const line = (row: Row) => `| ${row.map(padded).join(' | ')} |`;
  const rule = line(widths.map((width, i) => (i < left ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)));
  return [line(head), rule, ...rows.map(line)].join('\n');
}
