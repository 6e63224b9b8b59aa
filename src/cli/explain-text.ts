import { formatDuration } from '../config/fields/format.ts';
import type { WaitRange } from '../policies/retry/backoff.ts';
import { describeDurable } from './durable-plan.ts';
import type { Explanation } from './explanation.ts';
import type { Schedule } from './retry-plan.ts';
import { describeRules } from './retry-rules-text.ts';
import { describeStream } from './stream-plan.ts';
import { table } from './table.ts';

/** In characters. A longer value, as a rule of a preset, would push the origins of all values off the screen. */
const MAX_VALUE = 40;

/** An explanation as text. */
export function describe(explanation: Explanation): string {
  const { method, upstream, route, url, values, state } = explanation;
  return [
    `${method} ${url}\n`,
    table([
      ['upstream', upstream],
      ['route', route],
    ]),
    '\nValues in effect, and where they are set\n',
    table(
      values.map(({ key, shown, origin }) => [key, shown, origin]),
      [],
      MAX_VALUE,
    ),
    tenantOf(explanation),
    '\nState of the policies\n',
    table(state.map(({ key, own }) => [key, own ? `own (${upstream}/${route})` : `shared (${upstream})`])),
    replicas(explanation),
    remembered(explanation),
    '\nWhen the request is retried\n',
    retries(explanation),
    resumes(explanation),
    explanation.retried.length === 0 ? '' : waits(explanation),
    silence(explanation),
    describeStream(explanation.stream),
    describeClients(explanation),
    describeDurable(explanation.durable),
    ...explanation.schedules.map((schedule) => `  Sent by schedule ${schedule}\n`),
    `\nTo see the effect of an outage: breakwater simulate ${upstream} --route ${route} --fault outage\n`,
  ].join('');
}

const replicas = ({ replicas: lines }: Explanation): string =>
  lines.length === 0 ? '' : `\nWhat the replicas share\n${lines.map((line) => `  ${line}\n`).join('')}`;

const remembered = ({ remembered: lines }: Explanation): string =>
  lines.length === 0 ? '' : `\nWhat a restart remembers\n${lines.map((line) => `  ${line}\n`).join('')}`;

const tenantOf = ({ tenant }: Explanation): string =>
  tenant.length === 0 ? '' : `\nThe tenant\n${tenant.map((line) => `  ${line}\n`).join('')}`;

const describeClients = ({ allowedClients }: Explanation): string =>
  allowedClients.length === 0
    ? ''
    : `\nWhich clients may use the route\n${allowedClients.map((line) => `  ${line}\n`).join('')}`;

function retries({ method, retried, schedule }: Explanation): string {
  if (retried.length === 0) return '  never: retry.attempts is 1\n';
  const attempts = schedule.ordinary.waits.length + 1;
  return `${describeRules(retried)}  ${method} is sent at most ${attempts} times, while the budget has tokens and the body is buffered.\n`;
}

/** The rule that applies if timeouts.attempt is not written: no key shows it. */
function silence({ attemptTimeoutMs, hedgeStuck, method }: Explanation): string {
  if (attemptTimeoutMs !== undefined) return '';
  return [
    '\nWhen an attempt is silent\n',
    '  Attempts have no timeout, because timeouts.attempt is not written. An attempt without an answer counts as a failure\n',
    '  after four times the 90th percentile of its path, and after at least 2 s, until its answer comes.\n',
    hedgeStuck
      ? '  A parallel second attempt is sent after at least 20 s, four times that percentile and twice the longest recent answer,\n' +
        '  if a later attempt of that path was answered. It costs a token of the retry budget, and the first good answer is used.\n'
      : `  No second attempt is sent for a ${method} that is silent.\n`,
  ].join('');
}

function resumes({ resumes: times }: Explanation): string {
  if (times === 0) return '';
  return `  A broken download (200, strong ETag) is continued at most ${times} times, while the budget has tokens.\n`;
}

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
    '  A longer Retry-After replaces a wait, ',
    `up to ${formatDuration(retryAfterMaxMs)}.\n`,
    '\nWorst case: every wait and every attempt takes its longest time\n',
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
