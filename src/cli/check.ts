import type { Config } from '../config/config.ts';
import { listingIn, type Loaded, loadConfig, readingIn } from '../config/load.ts';
import { formatExcerpt, formatProblem, type Problem } from '../config/read/problem.ts';
import { nextSlots } from '../config/resolve/schedules.ts';
import { systemClock } from '../runtime/clock.ts';
import { CONFIG_OPTION, loadFor, readArgs } from './args.ts';
import type { Command, Io } from './io.ts';
import { table } from './table.ts';

const TEXT = `Usage: breakwater check [--config FILE | -] [--strict] [--json]

Reads the configuration as start would, and lists all problems, warnings and hints with line and column.

  -                   read the configuration from the standard input
  -c, --config FILE   the configuration (default config.yaml)
      --strict        a warning is a failure too
      --json          print JSON
  -h, --help          this text

Exit codes: 0 no problems, 1 problems (with --strict: or warnings), 2 wrong usage.
`;

const OPTIONS = {
  ...CONFIG_OPTION,
  strict: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

/** The name of the configuration in messages if it comes from the standard input. */
const STDIN = 'stdin';

/** `breakwater check`: lists the problems of the configuration. */
export const check: Command = async (args, io) => {
  const piped = args.includes('-');
  const called = readArgs(args, { text: TEXT, options: OPTIONS, words: piped ? ['-'] : [] }, io);
  if ('exit' in called) return called.exit;
  const { config, json, strict } = called.values;
  const file = piped ? STDIN : config;
  const loaded = piped ? loadStdin(io) : loadFor(io, file);
  const good = loaded.ok && !(strict && loaded.warnings.length > 0);
  if (json) io.out(`${JSON.stringify(asJson(file, loaded, good), null, 2)}\n`);
  else print(file, loaded, io);
  return good ? 0 : 1;
};

function loadStdin(io: Io): Loaded {
  const text = io.input();
  const read = readingIn(io.cwd);
  return loadConfig(STDIN, io.env, (path) => (path === STDIN ? text : read(path)), {
    listFolder: listingIn(io.cwd),
  });
}

function print(file: string, loaded: Loaded, io: Io): void {
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.err(`${formatProblem(problem)}\n${formatExcerpt(problem)}`);
    return;
  }
  for (const warning of loaded.warnings) io.err(`warning: ${formatProblem(warning)}\n`);
  for (const hint of loaded.hints) io.err(`hint: ${formatProblem(hint)}\n`);
  const { upstreams, routes } = sizes(loaded.config);
  io.out(`${file}: ok (${count(upstreams, 'upstream')}, ${count(routes, 'route')})\n`);
  const runs = schedules(loaded.config);
  if (runs.length > 0)
    io.out(
      table(runs.map(({ name, route, next }) => [`schedule ${name}`, route, `next ${next.join(', ')}`])),
    );
}

function asJson(file: string, loaded: Loaded, ok: boolean): object {
  if (!loaded.ok) return { ok, file, problems: loaded.problems.map(shown), warnings: [], hints: [] };
  const { config, hints, warnings } = loaded;
  return {
    ok,
    file,
    problems: [],
    warnings: warnings.map(shown),
    hints: hints.map(shown),
    ...sizes(config),
    schedules: schedules(config),
  };
}

/** Without the line of the file, which may contain a secret. */
const shown = ({ excerpt: _line, ...problem }: Problem): Omit<Problem, 'excerpt'> => problem;

function sizes({ upstreams }: Config): { readonly upstreams: number; readonly routes: number } {
  const routes = upstreams.reduce((sum, upstream) => sum + upstream.routes.length, 0);
  return { upstreams: upstreams.length, routes };
}

/** How many future runs of a schedule are shown. */
const SHOWN_RUNS = 3;

interface ShownSchedule {
  readonly name: string;
  readonly route: string;
  readonly next: readonly string[];
}

function schedules(config: Config): ShownSchedule[] {
  const now = systemClock.wallTime();
  return config.schedules.map((schedule) => ({
    name: schedule.name,
    route: schedule.route,
    next: nextSlots(schedule, now, SHOWN_RUNS).map((at) => new Date(at).toISOString()),
  }));
}

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;
