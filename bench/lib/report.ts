import { type Row, table } from './table.ts';

/** One part of the bench: its tables, and Breakwater's goals. */
export interface Part {
  readonly title: string;
  readonly tables: readonly Table[];
  readonly goals: readonly Goal[];
  /** Facts without which the tables would be misread, such as a contender that is not installed. */
  readonly notes: readonly string[];
  /** Whether a reply was wrong, or the part ended early. The figures then have no value. */
  readonly failed?: boolean;
}

export interface Table {
  readonly head: Row;
  readonly rows: readonly Row[];
}

export interface Goal {
  readonly what: string;
  readonly measured: number;
  readonly sign: '≤' | '≥';
  readonly limit: number;
  /** `unclear`: the quartiles of the rounds are on both sides of the limit. */
  readonly result: 'met' | 'MISSED' | 'unclear';
}

/** A goal for `measured`, with the quartiles of the rounds if there were rounds. */
export function atMost(
  what: string,
  measured: number,
  limit: number,
  quartiles: readonly number[] = [],
): Goal {
  const within = [measured, ...quartiles].map((value) => value <= limit);
  return { what, measured, sign: '≤', limit, result: resultOf(within) };
}

export function atLeast(what: string, measured: number, limit: number): Goal {
  return { what, measured, sign: '≥', limit, result: resultOf([measured >= limit]) };
}

function resultOf(within: readonly boolean[]): Goal['result'] {
  if (within.every(Boolean)) return 'met';
  return within.some(Boolean) ? 'unclear' : 'MISSED';
}

export function printPart({ title, tables, notes, failed }: Part): void {
  console.log(`\n## ${title}\n`);
  for (const { head, rows } of tables) console.log(`${table(head, rows)}\n`);
  for (const note of notes) console.log(note);
  if (failed === true) console.log('FAILED: the figures of this part have no value');
}

export function printGoals(goals: readonly Goal[]): void {
  if (goals.length === 0) return;
  const rows = goals.map(({ what, measured, sign, limit, result }) => [
    what,
    shown(measured),
    `${sign} ${shown(limit)}`,
    result,
  ]);
  console.log(`\n${table(['Breakwater', 'measured', 'goal', ''], rows)}`);
}

/** Three digits, or the whole part. */
export function shown(value: number): string {
  return value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0);
}
