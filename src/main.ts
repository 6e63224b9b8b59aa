#!/usr/bin/env node
import type { CommandName } from './cli/commands.ts';
import type { Command, Io } from './cli/io.ts';
import { cacheCompiledCode, packageVersion, tooOldNode } from './runtime/process.ts';

/** Loaded on demand, so that the start of the proxy does not load the other commands. */
const LOADERS: Readonly<Record<CommandName, () => Promise<Command>>> = {
  init: async () => (await import('./cli/init.ts')).init,
  start: async () => (await import('./cli/start.ts')).start,
  check: async () => (await import('./cli/check.ts')).check,
  explain: async () => (await import('./cli/explain.ts')).explain,
  simulate: async () => (await import('./cli/simulate.ts')).simulate,
  presets: async () => (await import('./cli/presets.ts')).presets,
  requests: async () => (await import('./cli/requests.ts')).requests,
  calls: async () => (await import('./cli/calls.ts')).calls,
  breaker: async () => (await import('./cli/upstream-commands.ts')).breaker,
  quota: async () => (await import('./cli/upstream-commands.ts')).quota,
  target: async () => (await import('./cli/upstream-commands.ts')).target,
  health: async () => (await import('./cli/health.ts')).health,
  schema: async () => (await import('./cli/schema.ts')).schema,
  completion: async () => (await import('./cli/completion.ts')).completion,
};

const isCommand = (name: string): name is CommandName => Object.hasOwn(LOADERS, name);

async function usage(): Promise<string> {
  const { COMMANDS } = await import('./cli/commands.ts');
  const lines = COMMANDS.map(
    ([name, { about, words = '' }]) => `  ${`${name} ${words}`.padEnd(20)}  ${about}\n`,
  );
  return `Breakwater ${packageVersion}: a sidecar reverse proxy for third-party HTTP APIs

Usage: breakwater COMMAND [options]

${lines.join('')}
Most commands take --config FILE (default config.yaml), and all take --help.
Exit codes: 0 success, 1 failure, 2 wrong usage.
`;
}

// SIGHUP kills a process that does not listen for it. The configuration is read later, so there is nothing to reload yet.
if (process.argv[2] === 'start') process.on('SIGHUP', () => undefined);

// libuv reads this at the first use of its pool. Lookups of names that hang may hold 12 threads (`shared-lookups.ts`).
process.env['UV_THREADPOOL_SIZE'] ??= '16';

const io: Io = {
  out: (text) => print(process.stdout, text),
  err: (text) => print(process.stderr, text),
  input: () => process.getBuiltinModule('node:fs').readFileSync(process.stdin.fd, 'utf8'),
  env: process.env,
  cwd: process.cwd(),
  onSignal: (signal, listener) => void process.on(signal, listener),
  onStray: (listener) => {
    process.on('uncaughtException', listener);
    process.on('unhandledRejection', listener);
  },
  exitNow: (code) => process.exit(code),
  killNow: () => void process.kill(process.pid, 'SIGKILL'),
};

/** The reader may stop at any time, as `head` does. The command then ends as usual. */
function print(stream: NodeJS.WriteStream, text: string): void {
  if (stream.listenerCount('error') === 0) stream.on('error', unlessUnread);
  stream.write(text);
}

function unlessUnread(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

async function run([name = '', ...args]: readonly string[]): Promise<number> {
  const tooOld = tooOldNode();
  if (tooOld !== undefined) {
    io.err(`breakwater: ${tooOld}\n`);
    return 1;
  }
  if (['--help', '-h', 'help'].includes(name)) {
    io.out(await usage());
    return 0;
  }
  if (['--version', '-v'].includes(name)) {
    io.out(`${packageVersion}\n`);
    return 0;
  }
  if (!isCommand(name)) {
    io.err(`${name === '' ? '' : `breakwater: unknown command "${name}"\n\n`}${await usage()}`);
    return 2;
  }
  cacheCompiledCode(import.meta.filename);
  const command = await LOADERS[name]();
  return command(args, io);
}

process.exitCode = await run(process.argv.slice(2));
// Ends the process even if a connection is still open.
if (process.argv[2] === 'start') process.exit();
