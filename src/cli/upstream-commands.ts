import { terminalLines } from '../runtime/terminal.ts';
import {
  ADMIN_HELP,
  ADMIN_OPTIONS,
  type AdminCall,
  AdminFailure,
  adminAddress,
  callAdmin,
  detailIn,
} from './admin-api.ts';
import { readArgs, wrong } from './args.ts';
import type { Command, Io } from './io.ts';

/* Commands that change the state of one upstream in a running proxy. */

const USAGE_END = `
${ADMIN_HELP}
  -h, --help             this text

Exit codes: 0 success, 1 no proxy, unknown upstream or refused, 2 wrong usage.
`;

const BREAKER = {
  text: `Usage: breakwater breaker UPSTREAM open|closed|auto

Sets the circuit breakers of an upstream in a running proxy, those of its routes included.

  open     reject every call
  closed   pass every call, whatever fails
  auto     open and close automatically again

A forced state lasts until the next such command, a changed configuration of the upstream, or a restart.
${USAGE_END}`,
  options: ADMIN_OPTIONS,
  words: ['UPSTREAM', 'STATE'],
} as const;

const QUOTA = {
  text: `Usage: breakwater quota reset UPSTREAM

Resets the quotas of an upstream in a running proxy, those of its routes included.

  reset    clear the learned limits and the counted usage; calls that wait for a quota are sent
${USAGE_END}`,
  options: ADMIN_OPTIONS,
  words: ['ACTION', 'UPSTREAM'],
} as const;

const TARGET = {
  text: `Usage: breakwater target UPSTREAM TARGET out|in

Takes a target of an upstream in a running proxy out, or puts it in again.

  out      send it no more calls; those that run go on
  in       send it calls again, also if its credential was refused before

A target that was taken out stays out until the next such command, a change of its key or host, or a restart.
${USAGE_END}`,
  options: ADMIN_OPTIONS,
  words: ['UPSTREAM', 'TARGET', 'PLACE'],
} as const;

const STATES: readonly string[] = ['open', 'closed', 'auto'];

/** `breakwater breaker UPSTREAM STATE`: forces the breakers of an upstream open or closed, or ends that. */
export const breaker: Command = async (args, io) => {
  const called = readArgs(args, BREAKER, io);
  if ('exit' in called) return called.exit;
  const [upstream = '', force = ''] = called.words;
  if (!STATES.includes(force))
    return wrong(`unknown state "${force}"; write one of ${STATES.join(', ')}`, BREAKER.text, io).exit;
  const call = { path: pathOf(upstream, 'breaker'), body: { force } };
  return change(call, `breaker of ${upstream} set to ${force}`, called.values, io);
};

/** `breakwater quota reset UPSTREAM`: clears the learned limits and counted usage of an upstream. */
export const quota: Command = async (args, io) => {
  const called = readArgs(args, QUOTA, io);
  if ('exit' in called) return called.exit;
  const [action = '', upstream = ''] = called.words;
  if (action !== 'reset') return wrong(`unknown action "${action}"; write reset`, QUOTA.text, io).exit;
  const call = { path: pathOf(upstream, 'quota'), body: { reset: true } };
  return change(call, `quota of ${upstream} reset`, called.values, io);
};

/** `breakwater target UPSTREAM TARGET PLACE`: takes a target out, or puts it in again. */
export const target: Command = async (args, io) => {
  const called = readArgs(args, TARGET, io);
  if ('exit' in called) return called.exit;
  const [upstream = '', name = '', set = ''] = called.words;
  if (set !== 'out' && set !== 'in')
    return wrong(`unknown place "${set}"; write out or in`, TARGET.text, io).exit;
  const call = { path: pathOf(upstream, 'target'), body: { target: name, set } };
  const done = set === 'out' ? 'taken out' : 'put in';
  return change(call, `target ${name} of ${upstream} ${done}`, called.values, io);
};

const pathOf = (upstream: string, what: string): string =>
  `/api/upstreams/${encodeURIComponent(upstream)}/${what}`;

async function change(
  call: Omit<AdminCall, 'method'>,
  done: string,
  values: Parameters<typeof adminAddress>[0],
  io: Io,
): Promise<number> {
  try {
    const proxy = adminAddress(values, io);
    const { status, body } = await callAdmin(proxy, { method: 'POST', ...call });
    if (status >= 300) throw new AdminFailure(detailIn(proxy, body) ?? `the proxy answered ${status}`);
    io.out(terminalLines(`${done}\n`));
    return 0;
  } catch (error) {
    if (!(error instanceof AdminFailure)) throw error;
    io.err(terminalLines(`breakwater: ${error.message}\n`));
    return error.exit;
  }
}
