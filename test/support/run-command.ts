import type { Command, Io } from '../../src/cli/io.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Around {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The standard input. */
  readonly input?: string;
  /** Receives the listeners of signals. */
  readonly onSignal?: Io['onSignal'];
  /** Learns of each output. */
  readonly onOut?: (text: string) => void;
}

/** Runs a command of the CLI in this process. */
export async function runCommand(
  command: Command,
  args: readonly string[],
  { cwd, env = {}, input = '', onSignal = () => undefined, onOut = () => undefined }: Around,
): Promise<Ran> {
  let out = '';
  let err = '';
  const code = await command(args, {
    out: (text) => {
      out += text;
      onOut(text);
    },
    err: (text) => void (err += text),
    input: () => input,
    env,
    cwd,
    onSignal,
    onStray: () => undefined,
    exitNow: () => undefined,
    killNow: () => undefined,
  });
  return { code, out, err };
}
