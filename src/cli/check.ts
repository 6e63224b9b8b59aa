import { CONFIG_OPTION, loadFor, printProblems, readArgs } from './args.ts';
import type { Command } from './io.ts';

const USAGE = {
  text: `Usage: breakwater check [--config FILE]

Reads the configuration as start would, and says everything that is wrong with it, each with line and column.

  -c, --config FILE   the configuration (default config.yaml)
  -h, --help          this text

Exit codes: 0 it is fine, 1 it is not, 2 called wrongly.
`,
  options: CONFIG_OPTION,
  words: [],
};

/** Says whether the configuration is sound. */
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
  return 0;
};

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;
