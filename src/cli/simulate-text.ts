import { formatDuration } from '../config/fields/format.ts';
import { bars, bracket } from '../simulate/chart.ts';
import type { Phase } from '../simulate/figures.ts';
import type { Report, Result } from '../simulate/report.ts';
import { faultName, isStreaming, RECOVERY_MS } from '../simulate/scenario.ts';
import type { TargetShare } from '../simulate/target-faults.ts';
import type { Bucket } from '../simulate/series.ts';
import { table } from './table.ts';

/** A simulation as text: figures, guarantee and chart. */
export function describeSimulation(report: Report): string {
  const { capacityPerSecond, config, defaults, scenario } = report;
  return `${headline(report)}

${table(rows(config, defaults), [2, 3])}
  The retry budget guarantees that such a run has at most
  ${config.bound.formula} = ${config.bound.attempts} attempts. This run had ${config.figures.whole.attempts}.
${failures(config)}
${chart(config.series, capacityPerSecond, faultName(scenario.fault), scenario.faultMs / 1_000)}${
  defaults === undefined ? '\n  These are the built-in defaults.\n' : ''
}`;
}

function headline({ upstream, route, scenario, config: { targets } }: Report): string {
  const { fault, faultMs, ratePerSecond, callers, capacityPerSecond, serviceMs, seed } = scenario;
  const what = isStreaming(scenario) ? ' to the first event of each stream' : ' each';
  const from = callers === 1 ? '' : ` from ${callers} proxies`;
  const of = targets === undefined ? '' : ` of ${namesOf(targets)}`;
  const ofEach = targets === undefined ? '' : ' for each target';
  return `${upstream}, route ${route}: ${faultName(fault)}${of} for ${formatDuration(faultMs)} at ${round(ratePerSecond)} requests/s${from}; capacity ${round(capacityPerSecond)}/s${ofEach}, ${formatDuration(serviceMs)}${what}, seed ${seed}`;
}

function namesOf(targets: readonly TargetShare[]): string {
  const failing = targets.filter(({ faulty }) => faulty);
  if (failing.length === targets.length) return 'all targets';
  return `${failing.length === 1 ? 'target' : 'targets'} ${failing.map(({ name }) => name).join(', ')}`;
}

type Show = (result: Result) => string;
type Row = (name: string, phase: string, show: Show) => string[];

function rows(config: Result, defaults: Result | undefined): string[][] {
  const row: Row = (name, phase, show) => [
    name,
    phase,
    show(config),
    ...(defaults === undefined ? [] : [show(defaults)]),
  ];
  const factor = (pick: (result: Result) => Phase): Show => {
    return (result) => pick(result).attemptsPerRequest.toFixed(2);
  };
  const success = (pick: (result: Result) => Phase): Show => {
    return (result) => percent(pick(result).success);
  };
  const rescued =
    config.figures.rescued === undefined
      ? []
      : [row('rescued', 'of what retries could', (r) => percent(r.figures.rescued ?? 0))];
  return [
    ['', '', 'as configured', ...(defaults === undefined ? [] : ['built-in defaults'])],
    row(
      'attempts per request',
      'during the fault',
      factor((r) => r.figures.during),
    ),
    row(
      '',
      'the minute after',
      factor((r) => r.figures.after),
    ),
    row('', 'at most, if all fail', (r) => r.worstDuring.attemptsPerRequest.toFixed(2)),
    row(
      'success',
      'during the fault',
      success((r) => r.figures.during),
    ),
    row(
      '',
      'the minute after',
      success((r) => r.figures.after),
    ),
    ...rescued,
    ...(config.targets ?? []).flatMap(targetRows(row)),
    row('time to recover', '', (r) => recovery(r.figures.recoveredAfterSeconds)),
    row('wasted work', 'of the upstream', (r) => percent(r.figures.wasted)),
  ];
}

/** Two rows for each target: its share of the attempts. */
function targetRows(row: Row): (target: TargetShare, index: number) => string[][] {
  return ({ name }, index) => {
    const share = (phase: 'during' | 'after'): Show => {
      return ({ targets }) => percent(targets?.[index]?.[phase] ?? 0);
    };
    return [
      row(`share of ${name}`, 'during the fault', share('during')),
      row('', 'the minute after', share('after')),
    ];
  };
}

function recovery(seconds: number | undefined): string {
  return seconds === undefined ? `never (in ${RECOVERY_MS / 1_000} s)` : `${seconds} s`;
}

function failures({ failures: found }: Result): string {
  if (found.length === 0) return '';
  const list = found.map(([reason, count]) => `${reason} ${count}`).join(', ');
  return `  Failed during the fault: ${list}.\n`;
}

const CHART_HEIGHT = 4;

function chart(series: readonly Bucket[], capacity: number, fault: string, faultSeconds: number): string {
  const busiest = Math.max(capacity, ...series.map(({ attemptsPerSecond }) => attemptsPerSecond));
  const column = (seconds: number) => series.filter(({ atSeconds }) => atSeconds < seconds - 1e-9).length;
  const axis = `${' '.repeat(9)}${bracket(column(0), column(faultSeconds), fault)}`;
  return `${panel(
    'success of the requests, by arrival',
    ['100 %', '0 %'],
    bars(
      series.map(({ success }) => success),
      1,
      CHART_HEIGHT,
    ),
  )}
${panel(
  `attempts/s at the upstream (capacity ${round(capacity)})`,
  [`${Math.ceil(busiest)}`, '0'],
  bars(
    series.map(({ attemptsPerSecond }) => attemptsPerSecond),
    busiest,
    CHART_HEIGHT,
  ),
)}${axis}
`;
}

function panel(title: string, [top, bottom]: readonly [string, string], lines: readonly string[]): string {
  const labelled = lines.map((line, index) => {
    const label = index === 0 ? top : index === lines.length - 1 ? bottom : '';
    return `${label.padStart(7)} ▕${line.trimEnd()}\n`;
  });
  return `  ${title}\n${labelled.join('')}`;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

const round = (value: number): string => String(Number(value.toFixed(2)));
