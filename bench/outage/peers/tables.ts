import type { Contender } from './contender.ts';
import { markdownTable } from './markdown.ts';
import type { Plan } from './plan.ts';
import { type Result, timeToRecover } from './result.ts';

export interface Measured {
  readonly plan: Plan;
  readonly results: readonly Result[];
}

/** The main figures of a contender, all scenarios in one row. */
export function headlineTable(measured: readonly Measured[], contenders: readonly Contender[]): string {
  const faults = measured.filter(({ plan }) => plan.situation === undefined);
  const cells = (contender: Contender) =>
    faults.map(({ plan, results }) => {
      const result = results.find((one) => one.contender === contender.name);
      if (result === undefined) return '–';
      return plan.name === 'flaky' ? percent(result.figures.during.success) : triple(plan, result);
    });
  const titles = faults.map(({ plan: { name } }) => (name === 'flaky' ? 'flaky: success' : name));
  return markdownTable(
    ['AF / TTR / success after', ...titles],
    contenders.map((contender) => [contender.name, ...cells(contender)]),
  );
}

/** The situations of RPB-2, one column each. */
export function situationTable(measured: readonly Measured[], contenders: readonly Contender[]): string {
  const situations = measured.filter(({ plan }) => plan.situation !== undefined);
  const cells = ({ name }: Contender) =>
    situations.map(({ results }) => results.find((one) => one.contender === name)?.cell ?? '–');
  return markdownTable(
    ['', ...situations.map(({ plan }) => plan.situation?.title ?? plan.name)],
    contenders.map((contender) => [contender.name, ...cells(contender)]),
  );
}

export function scenarioTable({ plan, results }: Measured): string {
  return plan.name === 'flaky' ? flakyTable(results) : faultTable(plan, results);
}

function faultTable({ name, scenario }: Plan, results: readonly Result[]): string {
  const rows = results.map((result) => {
    const { contender, figures, p99Ms } = result;
    return [
      contender,
      factor(figures.during.attemptsPerRequest),
      factor(figures.after.attemptsPerRequest),
      timeToRecover(scenario, result),
      percent(figures.during.success),
      percent(figures.after.success),
      p99Ms.toFixed(0),
      percent(figures.wasted),
    ];
  });
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

function triple({ scenario }: Plan, result: Result): string {
  const { during, after } = result.figures;
  return `${factor(during.attemptsPerRequest)} / ${timeToRecover(scenario, result)} / ${percent(after.success)}`;
}

const factor = (value: number): string => value.toFixed(2);
const percent = (share: number | undefined): string =>
  share === undefined ? '–' : `${(100 * share).toFixed(share >= 0.9995 || share === 0 ? 0 : 1)} %`;
