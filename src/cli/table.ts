import { terminalText } from '../runtime/terminal.ts';

/**
 * Rows in aligned columns, two spaces apart, indented by two, one line each. `right`: columns aligned to the right.
 * A cell of more than `widest` characters does not widen its column: the rest of its own row alone moves to the right.
 * Control characters in cells are escaped.
 */
export function table(
  texts: readonly (readonly string[])[],
  right: readonly number[] = [],
  widest = Infinity,
): string {
  const rows = texts.map((row) => row.map(terminalText));
  const widths: number[] = [];
  for (const row of rows)
    row.forEach(({ length }, column) => {
      if (length <= widest) widths[column] = Math.max(widths[column] ?? 0, length);
    });
  return rows
    .map((row) => {
      const cells = row.map((cell, column) => {
        const width = widths[column] ?? 0;
        return right.includes(column) ? cell.padStart(width) : cell.padEnd(width);
      });
      return `  ${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}
