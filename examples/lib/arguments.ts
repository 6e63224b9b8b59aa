import { relative } from 'node:path';
import { parseArgs } from 'node:util';

/** An option that takes a value. */
interface Option<T> {
  /** The default value. */
  readonly usual: T;
  /** The allowed values, as text. */
  readonly takes: string;
  /** Parses `text`; undefined if invalid. */
  read(text: string): T | undefined;
}

/** An option with a value, or a flag (false unless given). */
type Options = Readonly<Record<string, Option<unknown> | false>>;
type Values<O extends Options> = {
  readonly [K in keyof O]: O[K] extends Option<infer T> ? T : boolean;
};

export function whole(usual: number, from = 1, to = 1_000_000): Option<number> {
  return {
    usual,
    takes: `a whole number from ${from} to ${to}`,
    read: (text) => (/^\d+$/.test(text) && +text >= from && +text <= to ? Number(text) : undefined),
  };
}

export function positive(usual: number): Option<number> {
  return {
    usual,
    takes: 'a number above 0',
    read: (text) => (Number(text) > 0 && Number.isFinite(Number(text)) ? Number(text) : undefined),
  };
}

export function words(usual: string): Option<string> {
  return { usual, takes: 'a text', read: (text) => text };
}

/** Reads the command line. If it is invalid, prints the problem and ends the program with code 2. */
export function readArguments<O extends Options>(
  options: O,
  { word }: { readonly word?: string } = {},
): { readonly values: Values<O>; readonly word: string | undefined } {
  try {
    const given = parseArgs({
      allowPositionals: word !== undefined,
      options: Object.fromEntries(
        Object.entries(options).map(([name, option]) => [
          name,
          { type: option === false ? 'boolean' : 'string' } as const,
        ]),
      ),
    });
    if (given.positionals.length > 1) throw new Error(`unexpected argument "${given.positionals[1]}"`);
    const values = Object.entries(options).map(([name, option]) => [
      name,
      valueOf(name, option, given.values[name]),
    ]);
    return { values: Object.fromEntries(values) as Values<O>, word: given.positionals[0] };
  } catch (error) {
    // Node adds advice about `--`, which does not apply here.
    const why = error instanceof Error ? error.message.split('. ')[0] : String(error);
    console.error(`${why}\nUsage: ${usage(options, word)}`);
    process.exit(2);
  }
}

function valueOf(name: string, option: Option<unknown> | false, given: unknown): unknown {
  if (option === false) return given === true;
  if (typeof given !== 'string') return option.usual;
  const value = option.read(given);
  if (value === undefined) throw new Error(`--${name} "${given}" is not ${option.takes}`);
  return value;
}

function usage(options: Options, word: string | undefined): string {
  const parts = Object.entries(options).map(([name, option]) =>
    option === false ? `[--${name}]` : `[--${name} ${String(option.usual) || 'TEXT'}]`,
  );
  const program = relative('', process.argv[1] ?? '');
  return ['npx node', program, ...parts, ...(word === undefined ? [] : [`[${word}]`])].join(' ');
}
