import { systemClock } from '../runtime/clock.ts';
import { terminalLines } from '../runtime/terminal.ts';
import type { CallLine } from '../telemetry/call-log.ts';
import {
  ADMIN_HELP,
  ADMIN_OPTIONS,
  type AdminAddress,
  AdminFailure,
  adminAddress,
  callAdmin,
  detailIn,
  jsonIn,
} from './admin-api.ts';
import { readArgs, wrong } from './args.ts';
import { tailCalls } from './calls-tail.ts';
import type { Command, Io } from './io.ts';
import { roughly } from './requests-text.ts';
import { table } from './table.ts';

const USAGE = {
  text: `Usage: breakwater calls [ID | tail]

Shows the notable calls in the memory of a running proxy: retried, rejected, failed or slow. Without ID, calls of one route
that ended in the same way are one line, the latest first. With ID (breakwater-request-id, or its beginning), each call is
shown with its attempts. tail shows the latest ten, and then each further one as it ends, until it is stopped.

      --upstream NAME    only calls of this upstream
      --outcome OUTCOME  rescued, fallback, upstream_error, failed, rejected, client_gone or ok (slow)
      --text TEXT        only calls with this text in their id, path or sentence
      --json             print JSON; with tail, one object a line
${ADMIN_HELP}
  -h, --help             this text

Exit codes: 0 success, 1 no proxy or no such call, 2 wrong usage.
`,
  options: {
    ...ADMIN_OPTIONS,
    upstream: { type: 'string' },
    outcome: { type: 'string' },
    text: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
  words: [],
  more: true,
} as const;

interface Call extends CallLine {
  readonly at: string;
  readonly message: string;
}

interface Found {
  readonly groups: readonly {
    readonly count: number;
    readonly latest: Call;
    readonly calls?: readonly Call[];
  }[];
}

/** `breakwater calls`: leads from the id in an app's log to what happened. */
export const calls: Command = async (args, io) => {
  const called = readArgs(args, USAGE, io);
  if ('exit' in called) return called.exit;
  const { values, words } = called;
  const [id, extra] = words;
  if (extra !== undefined) return wrong(`takes one id only, not "${extra}" too`, USAGE.text, io).exit;
  try {
    if (id === 'tail') await tail(adminAddress(values, io), values, io);
    else await show(id, values, io);
    return 0;
  } catch (error) {
    if (!(error instanceof AdminFailure)) throw error;
    io.err(terminalLines(`breakwater: ${error.message}\n`));
    return error.exit;
  }
};

interface Values {
  readonly admin?: string | undefined;
  readonly config?: string | undefined;
  readonly upstream?: string | undefined;
  readonly outcome?: string | undefined;
  readonly text?: string | undefined;
  readonly json: boolean;
}

async function show(id: string | undefined, values: Values, io: Io): Promise<void> {
  const { upstream, outcome, text } = values;
  const found = await list(adminAddress(values, io), { id, upstream, outcome, text });
  if (id !== undefined && found.groups.length === 0) throw new AdminFailure(NOT_FOUND);
  const now = systemClock.wallTime();
  const shown = id === undefined && text === undefined ? describeGroups(found, now) : describeCalls(found);
  io.out(values.json ? `${JSON.stringify(found, null, 2)}\n` : terminalLines(shown));
}

async function tail(proxy: AdminAddress, { json, upstream, outcome, text }: Values, io: Io): Promise<void> {
  const written = Object.entries({ upstream, outcome, text }).filter(([, value]) => value !== undefined);
  const filter = Object.fromEntries(written) as Record<string, string>;
  await tailCalls(proxy, { json, filter }, io);
}

const NOT_FOUND =
  'no call with this id is in memory. Calls that went well at once are only in the log, with log.requests: all. A durable request is found by: breakwater requests list --request-id ID';

async function list(
  proxy: AdminAddress,
  filter: Readonly<Record<string, string | undefined>>,
): Promise<Found> {
  const given = Object.entries(filter).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  );
  const query = new URLSearchParams(given).toString();
  const { status, body } = await callAdmin(proxy, {
    method: 'GET',
    path: `/api/calls${query && `?${query}`}`,
  });
  if (status !== 200) throw new AdminFailure(detailIn(proxy, body) ?? `the proxy answered ${status}`);
  return jsonIn<Found>(proxy, body);
}

function describeGroups({ groups }: Found, now: number): string {
  if (groups.length === 0) return 'no notable calls\n';
  const rows = groups.map(({ count, latest }) => [
    `${roughly(Math.max(0, now - Date.parse(latest.at)))} ago`,
    String(count),
    latest.id,
    latest.message,
  ]);
  return table([['LATEST', 'CALLS', 'ITS ID', 'WHAT HAPPENED'], ...rows], [1]);
}

function describeCalls({ groups }: Found): string {
  if (groups.length === 0) return 'no notable calls\n';
  return groups
    .flatMap(({ calls: found = [] }) => found)
    .map(describeCall)
    .join('\n');
}

function describeCall(call: Call): string {
  const facts = [
    ['id', call.id],
    ['ended', call.at],
    ['took', roughly(call.ms)],
    ['client', [call.client_name, call.client].filter(Boolean).join(', ')],
    ['priority', call.priority ?? ''],
    ['trace', call.trace_id ?? ''],
    ['received', `${call.bytes_in} bytes`],
    ['returned', `${call.bytes_out} bytes`],
  ].filter(([, value]) => value !== '');
  return `${call.message}\n${table(facts)}${describeAttempts(call.attempts)}`;
}

function describeAttempts(attempts: Call['attempts']): string {
  if (attempts.length === 0) return '';
  const rows = attempts.map((attempt) => [
    String(attempt.n),
    attempt.upstream ?? '',
    roughly(attempt.at_ms),
    attempt.ms === undefined ? '' : roughly(attempt.ms),
    [attempt.grpc ?? attempt.status ?? attempt.error, attempt.detail].filter(Boolean).join(': '),
    waitBefore(attempt),
  ]);
  return `\n${table([['ATTEMPT', 'UPSTREAM', 'STARTED', 'TOOK', 'RESULT', 'WAIT BEFORE IT'], ...rows], [0, 2, 3])}`;
}

function waitBefore({
  wait_ms: wait,
  reason,
  quota_ms: quota,
  quota_wait: cause,
  hedged_after_ms: hedged,
}: Call['attempts'][number]): string {
  const waits = [
    wait === undefined ? '' : `${roughly(wait)} (${reason ?? 'no reason'})`,
    quota === undefined ? '' : `${roughly(quota)} for the quota (${cause ?? 'no reason'})`,
    hedged === undefined ? '' : `second attempt after ${roughly(hedged)}`,
  ];
  return waits.filter((text) => text !== '').join(', ');
}
