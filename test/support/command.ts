import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';
import { Changes } from './changes.ts';

export interface Running {
  readonly child: ChildProcess;
  readonly out: string;
  readonly err: string;
  /** Resolves with the match once stdout or stderr has it; rejects if the process ends before. */
  untilPrinted(pattern: RegExp): Promise<RegExpMatchArray>;
  /** Resolves with the exit code, or the signal's name. */
  ended(): Promise<number | string>;
}

/** A process of Node starts in half of the time with what one before it has compiled. */
const COMPILED = resolve('node_modules/.cache/breakwater-test');

/** Runs a program, collecting what it prints; killed by itself when the test has finished. */
export function run(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string | undefined> } = {},
): Running {
  const changes = new Changes();
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { NODE_COMPILE_CACHE: COMPILED, ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed = { out: '', err: '' };
  let end: number | string | undefined;
  for (const [stream, name] of [
    [child.stdout, 'out'],
    [child.stderr, 'err'],
  ] as const) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed[name] += text;
      changes.notify();
    });
  }
  child.on('close', (code, signal) => {
    end = code ?? signal ?? 'unknown';
    changes.notify();
  });
  onTestFinished(() => {
    if (end === undefined) child.kill('SIGKILL');
  });
  const match = (pattern: RegExp) => printed.out.match(pattern) ?? printed.err.match(pattern);
  return {
    child,
    get out() {
      return printed.out;
    },
    get err() {
      return printed.err;
    },
    untilPrinted: async (pattern) => {
      await changes.until(() => match(pattern) !== null || end !== undefined);
      const found = match(pattern);
      if (found === null)
        throw new Error(`ended (${end}) without ${pattern}:\n${printed.out}\n${printed.err}`);
      return found;
    },
    ended: async () => {
      await changes.until(() => end !== undefined);
      return end as number | string;
    },
  };
}

/** Runs `breakwater` from source. */
export function breakwater(...args: readonly string[]): Running {
  return run(process.execPath, ['src/main.ts', ...args]);
}

/** A folder for this test, removed at its end. */
export function temporaryFolder(files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), 'breakwater-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}
