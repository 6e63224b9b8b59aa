/** Empty to full in eighths. */
const EIGHTHS = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/** A bar chart of `height` lines, one column per value, scaled to `max`. An undefined value is empty; a value above 0 is always visible. */
export function bars(values: readonly (number | undefined)[], max: number, height: number): string[] {
  return Array.from({ length: height }, (_, line) => {
    const below = (height - 1 - line) * 8;
    return values
      .map((value) => {
        if (value === undefined || value <= 0 || max <= 0) return ' ';
        const eighths = Math.max(1, Math.round((Math.min(value, max) / max) * height * 8));
        return EIGHTHS[Math.min(8, Math.max(0, eighths - below))] ?? ' ';
      })
      .join('');
  });
}

/** A line under a chart that marks columns `from` to `to` (not included) with a name: `      └─ outage ─┘`. */
export function bracket(from: number, to: number, name: string): string {
  const width = Math.max(to - from, 2);
  const label = name.length + 4 <= width ? ` ${name} ` : '';
  const dashes = width - 2 - label.length;
  const left = '─'.repeat(Math.floor(dashes / 2));
  const line = `${' '.repeat(from)}└${left}${label}${'─'.repeat(dashes - left.length)}┘`;
  return label === '' ? `${line} ${name}` : line;
}
