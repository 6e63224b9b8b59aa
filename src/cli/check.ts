import type { Config } from '../config/config.ts';
import { nextSlots } from '../config/resolve/schedules.ts';
import { systemClock } from '../runtime/clock.ts';
import { CONFIG_OPTION, loadFor, printProblems, readArgs } from './args.ts';
import type { Command } from './io.ts';
import { table } from './table.ts';

const USAGE = {
  text: `Usage: breakwater check [--config FILE]

Reads the configuration as start would, and lists all problems and warnings with line and column.

  -c, --config FILE   the configuration (default config.yaml)
  -h, --help          this text

Exit codes: 0 no problems, 1 problems, 2 wrong usage.
`,
  options: CONFIG_OPTION,
  words: [],
};

/** `breakwater check`: lists the problems of the configuration. */
export const check: Command = async (args, io) => {
  const called = readArgs(args, USAGE, io);
  if ('exit' in called) return called.exit;
  const { config: file } = called.values;
  const loaded = loadFor(io, file);
  if (!loaded.ok) {
    printProblems(loaded.problems, io);
    return 1;
  }
  printProblems(loaded.warnings, io, 'warning: ');
  const { upstreams } = loaded.config;
  const routes = upstreams.reduce((sum, upstream) => sum + upstream.routes.length, 0);
  io.out(`${file}: ok (${count(upstreams.length, 'upstream')}, ${count(routes, 'route')})\n`);
  io.out(schedules(loaded.config));
  return 0;
};

/** How many future runs of a schedule are shown. */
const SHOWN_RUNS = 3;

function schedules(config: Config): string {
  const now = systemClock.wallTime();
  const rows = config.schedules.map((schedule) => {
    const next = nextSlots(schedule, now, SHOWN_RUNS).map((at) => new Date(at).toISOString());
    return [`schedule ${schedule.name}`, schedule.route, `next ${next.join(', ')}`];
  });
  return rows.length === 0 ? '' : table(rows);
}

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;
