#!/usr/bin/env node
import type { Command, Io } from './cli/io.ts';
import { packageVersion, tooOldNode } from './runtime/process.ts';

const USAGE = `Breakwater ${packageVersion}: a sidecar reverse proxy for third-party HTTP APIs

Usage: breakwater COMMAND [options]

  start                 run the proxy (SIGHUP reloads the configuration, SIGTERM drains and stops)
  check                 check the configuration and list all its problems
  explain METHOD PATH   show what the proxy would do with a request, and where each value is set
  simulate UPSTREAM     simulate an outage of an upstream with this configuration
  presets [NAME]        print the presets: known facts about APIs, with sources
  requests ACTION       list, show, retry, cancel or delete durable requests of a running proxy
  breaker UPSTREAM      force the circuit breaker of a running proxy open or closed, or back to auto
  quota reset UPSTREAM  clear the learned limits and counted usage of a running proxy
  schema                print the JSON Schema of the configuration

Each command takes --config FILE (default config.yaml) and --help.
Exit codes: 0 success, 1 failure, 2 wrong usage.
`;

/** Loaded on demand, so that the start of the proxy does not load the other commands. */
const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map(
  Object.entries<() => Promise<Command>>({
    start: async () => (await import('./cli/start.ts')).start,
    check: async () => (await import('./cli/check.ts')).check,
    explain: async () => (await import('./cli/explain.ts')).explain,
    simulate: async () => (await import('./cli/simulate.ts')).simulate,
    presets: async () => (await import('./cli/presets.ts')).presets,
    requests: async () => (await import('./cli/requests.ts')).requests,
    breaker: async () => (await import('./cli/upstream-commands.ts')).breaker,
    quota: async () => (await import('./cli/upstream-commands.ts')).quota,
    schema: async () => (await import('./cli/schema.ts')).schema,
  }),
);

// SIGHUP kills a process that does not listen for it. The configuration is read later, so there is nothing to reload yet.
if (process.argv[2] === 'start') process.on('SIGHUP', () => undefined);

// libuv reads this at the first use of its pool. Lookups of names that hang may hold 12 threads (`shared-lookups.ts`).
process.env['UV_THREADPOOL_SIZE'] ??= '16';

const io: Io = {
  out: (text) => print(process.stdout, text),
  err: (text) => print(process.stderr, text),
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
    io.out(USAGE);
    return 0;
  }
  if (['--version', '-v'].includes(name)) {
    io.out(`${packageVersion}\n`);
    return 0;
  }
  const load = COMMANDS.get(name);
  if (load === undefined) {
    io.err(name === '' ? USAGE : `breakwater: unknown command "${name}"\n\n${USAGE}`);
    return 2;
  }
  const command = await load();
  return command(args, io);
}

process.exitCode = await run(process.argv.slice(2));
// Ends the process even if a connection is still open.
if (process.argv[2] === 'start') process.exit();
