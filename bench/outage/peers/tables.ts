import { markdownTable } from './markdown.ts';
import type { Contender } from './contender.ts';
import type { Plan } from './plan.ts';
import type { Result } from './result.ts';

export interface Measured {
  readonly plan: Plan;
  readonly results: readonly Result[];
}

/** The figures on which the decision for a contender hangs, all scenarios in one row. */
export function headlineTable(measured: readonly Measured[], contenders: readonly Contender[]): string {
  const find = (name: string, contender: Contender) =>
    measured.find(({ plan }) => plan.name === name)?.results.find((one) => one.contender === contender.name);
  const faults = measured.filter(({ plan }) => plan.name !== 'flaky').map(({ plan }) => plan.name);
  const flaky = measured.some(({ plan }) => plan.name === 'flaky');
  const rows = contenders.map((contender) => [
    contender.name,
    ...faults.map((name) => triple(find(name, contender))),
    ...(flaky ? [percent(find('flaky', contender)?.figures.during.success)] : []),
  ]);
  const head = ['AF / TTR / success after', ...faults, ...(flaky ? ['flaky: success'] : [])];
  return markdownTable(head, rows);
}

export function scenarioTable({ plan, results }: Measured): string {
  return plan.name === 'flaky' ? flakyTable(results) : faultTable(plan.name, results);
}

function faultTable(name: string, results: readonly Result[]): string {
  const rows = results.map(({ contender, figures, p99Ms }) => [
    contender,
    factor(figures.during.attemptsPerRequest),
    factor(figures.after.attemptsPerRequest),
    seconds(figures.recoveredAfterSeconds),
    percent(figures.during.success),
    percent(figures.after.success),
    p99Ms.toFixed(0),
    percent(figures.wasted),
  ]);
  const head = [name, 'AF in', 'AF after', 'TTR s', 'success in', 'success after', 'p99 in, ms', 'wasted'];
  return markdownTable(head, rows);
}

function flakyTable(results: readonly Result[]): string {
  const rows = results.map(({ contender, figures, p99Ms }) => [
    contender,
    factor(figures.during.attemptsPerRequest),
    percent(figures.during.success),
    contender === 'no retry' ? '–' : percent(figures.rescued),
    p99Ms.toFixed(0),
  ]);
  return markdownTable(['flaky', 'AF', 'success', 'rescued share', 'p99, ms'], rows);
}

export function settingsTable(contenders: readonly Contender[]): string {
  const rows = contenders.map((one) => [one.name, one.version() ?? 'not installed', one.settings]);
  return markdownTable(['contender', 'version', 'settings'], rows, 3);
}

function triple(result: Result | undefined): string {
  if (result === undefined) return '–';
  const { during, after, recoveredAfterSeconds } = result.figures;
  return `${factor(during.attemptsPerRequest)} / ${seconds(recoveredAfterSeconds)} / ${percent(after.success)}`;
}

const factor = (value: number): string => value.toFixed(2);
const seconds = (value: number | undefined): string => (value === undefined ? 'never' : value.toFixed(0));
const percent = (share: number | undefined): string =>
  share === undefined ? '–' : `${(100 * share).toFixed(share >= 0.9995 || share === 0 ? 0 : 1)} %`;
