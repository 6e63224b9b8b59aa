import { terminalLines } from '../runtime/terminal.ts';
import { ADMIN_HELP, ADMIN_OPTIONS, AdminFailure, adminAddress, callAdmin } from './admin-api.ts';
import { readArgs } from './args.ts';
import type { Command } from './io.ts';

const USAGE = {
  text: `Usage: breakwater health [--ready]

Asks the admin listener of a running proxy for /healthz, and ends with 0 if it answers 200. It needs no token.

      --ready            ask for /readyz: whether the proxy should get calls
${ADMIN_HELP}
  -h, --help             this text

Exit codes: 0 healthy, 1 not healthy or no proxy, 2 wrong usage.
`,
  options: { ...ADMIN_OPTIONS, ready: { type: 'boolean', default: false } },
  words: [],
} as const;

/** `breakwater health`: for a HEALTHCHECK of a container. */
export const health: Command = async (args, io) => {
  const called = readArgs(args, USAGE, io);
  if ('exit' in called) return called.exit;
  try {
    const path = called.values.ready ? '/readyz' : '/healthz';
    const { status, body } = await callAdmin(adminAddress(called.values, io), { method: 'GET', path });
    const said = terminalLines(body.toString());
    if (status === 200) io.out(said);
    else io.err(`${path} answered ${status}: ${said}`);
    return status === 200 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof AdminFailure)) throw error;
    io.err(terminalLines(`breakwater: ${error.message}\n`));
    return error.exit;
  }
};
