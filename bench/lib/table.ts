import type { Cell, Footprint, Goal } from './summary.ts';

type Row = readonly string[];

/** A Markdown table, padded so that it also reads well in a terminal. The first column is left-aligned. */
export function table(head: Row, rows: readonly Row[]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: Row): string => {
    const cells = widths.map((width, i) =>
      i === 0 ? (row[i] ?? '').padEnd(width) : (row[i] ?? '').padStart(width),
    );
    return `| ${cells.join(' | ')} |`;
  };
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

export function scenarioTable(scenario: string, cells: readonly Cell[]): string {
  const rows = cells.map((cell) => [
    cell.failures === 0 ? cell.contender : `${cell.contender} (${cell.failures} FAILED)`,
    cell.ratio.toFixed(2),
    cell.ratioQuartiles.map((ratio) => ratio.toFixed(2)).join('–'),
    cell.cpuMicros.toFixed(1),
    cell.addedP50Ms.toFixed(3),
    cell.addedP99Ms.toFixed(3),
    cell.requestsPerSecond.toFixed(0),
    String(cell.reconnects),
  ]);
  const head = [scenario, 'ratio', 'quartiles', 'CPU µs', '+p50 ms', '+p99 ms', 'req/s', 'reconnects'];
  return table(head, rows);
}

export function footprintTable(footprints: readonly Footprint[]): string {
  const rows = footprints.map((one) => [
    one.contender,
    one.listeningMs.toFixed(0),
    one.idleMb.toFixed(1),
    one.loadedMb.toFixed(1),
  ]);
  return table(['start and memory', 'listening ms', 'RSS idle MB', 'RSS after load MB'], rows);
}

export function goalTable(goals: readonly Goal[]): string {
  const rows = goals.map(({ what, measured, limit, result }) => [
    what,
    measured.toFixed(measured < 10 ? 2 : 0),
    `≤ ${limit}`,
    result,
  ]);
  return table(['Breakwater', 'measured', 'goal', ''], rows);
}
