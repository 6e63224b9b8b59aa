import { formatDuration } from '../config/format.ts';
import type { WaitRange } from '../policies/retry/backoff.ts';
import { describeDurable } from './durable-plan.ts';
import type { Explanation } from './explain.ts';
import type { RetryRule, Schedule } from './retry-plan.ts';
import { table } from './table.ts';

/** An explanation for people. */
export function describe(explanation: Explanation): string {
  const { method, upstream, route, url, values } = explanation;
  return [
    `${method} ${url}\n`,
    table([
      ['upstream', upstream],
      ['route', route],
    ]),
    '\nValues in effect, and who set them\n',
    table(values.map(({ key, shown, origin }) => [key, shown, origin])),
    '\nWhen it is retried\n',
    retries(explanation),
    resumes(explanation),
    explanation.retried.length === 0 ? '' : waits(explanation),
    describeDurable(explanation.durable),
    ...explanation.schedules.map((schedule) => `  Made by schedule ${schedule}\n`),
    `\nWhat an outage would do to it: breakwater simulate ${upstream} --route ${route} --fault outage\n`,
  ].join('');
}

const CALLS: Readonly<Record<RetryRule['calls'], string>> = {
  all: '',
  with_key: 'with a key',
  without_key: 'without a key',
};

function retries({ method, retried, schedule }: Explanation): string {
  if (retried.length === 0) return '  never: retry.attempts is 1\n';
  const rows = [
    ['', ...retried.map(({ calls }) => CALLS[calls])],
    ['not sent (DNS, connect, TLS)', ...retried.map(({ notSent }) => yes(notSent))],
    ['sent, no answer (reset, timeout)', ...retried.map(({ sentUnknown }) => yes(sentUnknown))],
    ['answered', ...retried.map(({ statuses }) => ranges(statuses) || 'no status')],
    ...grpcRow(retried),
  ];
  const attempts = schedule.ordinary.waits.length + 1;
  return `${table(retried.length > 1 ? rows : rows.slice(1))}  ${method} is sent at most ${attempts} times, while the budget has tokens and the body is kept.\n`;
}

/** Three or more numbers in a row are written as a range. */
function ranges(numbers: readonly number[]): string {
  const runs: number[][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last?.at(-1) === number - 1) last.push(number);
    else runs.push([number]);
  }
  return runs.map((run) => (run.length < 3 ? run.join(' ') : `${run[0]}-${run.at(-1)}`)).join(' ');
}

function resumes({ resumes: times }: Explanation): string {
  if (times === 0) return '';
  return `  A download (200, strong ETag) that breaks is continued at most ${times} times, while the budget has tokens.\n`;
}

/** Said only where it is asked for: most APIs are not gRPC. */
function grpcRow(retried: readonly RetryRule[]): string[][] {
  if (retried.every(({ grpc }) => grpc.length === 0)) return [];
  return [['answered by gRPC, nothing else before', ...retried.map(({ grpc }) => grpc.join(' '))]];
}

const yes = (is: boolean): string => (is ? 'yes' : 'no');

function waits({ schedule, totalTimeoutMs, retryAfterMaxMs }: Explanation): string {
  return [
    '\nWaits between attempts\n',
    table(
      [
        ['', 'min', 'median', 'max'],
        ...rowsOf('after a failure', schedule.ordinary),
        ...rowsOf('after 429, 503, 529', schedule.overloaded),
      ],
      [1, 2, 3],
    ),
    '  A Retry-After that asks for more takes the place of a wait, ',
    `up to ${formatDuration(retryAfterMaxMs)}.\n`,
    '\nAt worst, with every wait and every attempt at its longest\n',
    table([
      ['after failures', worst(schedule.ordinary, totalTimeoutMs)],
      ['after 429, 503, 529', worst(schedule.overloaded, totalTimeoutMs)],
    ]),
  ].join('');
}

function rowsOf(label: string, { waits: ranges, sum }: Schedule): string[][] {
  const rows = ranges.map((range, index) => [`${label}, before attempt ${index + 2}`, ...cells(range)]);
  return ranges.length > 1 ? [...rows, [`${label}, in all`, ...cells(sum)]] : rows;
}

const cells = ({ minMs, medianMs, maxMs }: WaitRange): string[] =>
  [minMs, medianMs, maxMs].map(formatDuration);

function worst({ waits: ranges, lastStartsMs, endsMs }: Schedule, totalMs: number): string {
  const last = `attempt ${ranges.length + 1}`;
  const starts = formatDuration(lastStartsMs);
  if (lastStartsMs >= totalMs) {
    return `${last} would start at ${starts}; timeouts.total ends the call at ${formatDuration(endsMs)}`;
  }
  return `${last} starts at ${starts} and has until ${formatDuration(endsMs)} (timeouts.total)`;
}
