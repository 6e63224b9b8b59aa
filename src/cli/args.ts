import { type ParseArgsConfig, parseArgs } from 'node:util';
import { listingIn, type Loaded, loadConfig, readingIn } from '../config/load.ts';
import { formatProblem, type Problem } from '../config/read/problem.ts';
import type { Io } from './io.ts';

type Options = NonNullable<ParseArgsConfig['options']>;
type Values<O extends Options> = ReturnType<
  typeof parseArgs<{ options: O; allowPositionals: true }>
>['values'];

/** Option of every command that reads the configuration. */
export const CONFIG_OPTION = { config: { type: 'string', short: 'c', default: 'config.yaml' } } as const;

export interface Usage<O extends Options> {
  /** Printed by `--help`, and after a wrong call. */
  readonly text: string;
  readonly options: O;
  /** Names of the required arguments, in order. */
  readonly words: readonly string[];
  /** More arguments may follow. */
  readonly more?: true;
}

export type Called<O extends Options> =
  | { readonly values: Values<O>; readonly words: readonly string[] }
  /** The command is done. */
  | { readonly exit: number };

/** Reads the arguments of a command. `--help` prints the usage, with exit code 0. An unknown or missing argument is exit code 2. */
export function readArgs<O extends Options>(args: readonly string[], usage: Usage<O>, io: Io): Called<O> {
  if (args.includes('--help') || args.includes('-h')) {
    io.out(usage.text);
    return { exit: 0 };
  }
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: usage.options,
      allowPositionals: true,
    });
    const missing = usage.words[positionals.length];
    const extra = usage.more ? undefined : positionals[usage.words.length];
    if (missing === undefined && extra === undefined) return { values, words: positionals };
    return wrong(
      missing === undefined ? `unexpected argument '${extra}'` : `${missing} is missing`,
      usage.text,
      io,
    );
  } catch (error) {
    // The first sentence only: Node adds advice about `--` that does not help here.
    const said = error instanceof Error ? error.message : String(error);
    return wrong(said.split('. ')[0] ?? said, usage.text, io);
  }
}

/** Prints the problem of a call, and the usage. */
export function wrong(why: string, usage: string, io: Io): { readonly exit: number } {
  io.err(`breakwater: ${why}\n\n${usage}`);
  return { exit: 2 };
}

/** Loads a config file; `file` is relative to the working directory of the command. */
export function loadFor(io: Io, file: string): Loaded {
  return loadConfig(file, io.env, readingIn(io.cwd), { listFolder: listingIn(io.cwd) });
}

/** Prints one line for each problem. */
export function printProblems(problems: readonly Problem[], io: Io, prefix = ''): void {
  for (const problem of problems) io.err(`${prefix}${formatProblem(problem)}\n`);
}
