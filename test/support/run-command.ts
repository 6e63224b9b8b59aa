import type { Command } from '../../src/cli/io.ts';

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
}

/** Runs a command of the CLI in this process. */
export async function runCommand(
  command: Command,
  args: readonly string[],
  { cwd, env = {}, input = '' }: Around,
): Promise<Ran> {
  let out = '';
  let err = '';
  const code = await command(args, {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    input: () => input,
    env,
    cwd,
    onSignal: () => undefined,
    onStray: () => undefined,
    exitNow: () => undefined,
    killNow: () => undefined,
  });
  return { code, out, err };
}
