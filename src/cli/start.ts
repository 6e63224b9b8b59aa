import { App, type LoadResult } from '../app/app.ts';
import type { Config } from '../config/config.ts';
import type { Digests } from '../config/read/digests.ts';
import { formatProblem } from '../config/read/problem.ts';
import { shownUrl } from '../config/show/effective.ts';
import { FileWatch } from '../config/watch-file.ts';
import { systemClock } from '../runtime/clock.ts';
import { createLogger, type Logger } from '../runtime/logger.ts';
import { nodeVersion, packageVersion } from '../runtime/process.ts';
import { systemRandom } from '../runtime/random.ts';
import { redact } from '../telemetry/redact.ts';
import { CONFIG_OPTION, loadFor, readArgs } from './args.ts';
import type { Command, Io } from './io.ts';
import { stopReason } from './stop-reason.ts';

const USAGE = {
  text: `Usage: breakwater start [--config FILE] [--demo]

Runs the proxy. A change of the file or SIGHUP reloads the configuration; a wrong one is refused and the running one
stays. SIGTERM or SIGINT drains: calls are accepted for drain_delay, then running calls get drain_timeout; a second signal
ends at once.

  -c, --config FILE   the configuration (default config.yaml)
      --demo          also run the unreliable demo API where the upstream "demo" expects it
  -h, --help          this text

Exit codes: 0 stopped as asked, 1 could not start or ended by a bug, 2 called wrongly.
`,
  options: { ...CONFIG_OPTION, demo: { type: 'boolean', default: false } },
  words: [],
} as const;

/** Runs the proxy until it is told to stop. */
export const start: Command = async (args, io) => {
  const called = readArgs(args, USAGE, io);
  if ('exit' in called) return called.exit;
  const { config: file, demo: withDemo } = called.values;
  const onHangup = hangups(io);
  const loaded = load(file, io);
  if (!loaded.ok) {
    for (const error of loaded.errors) io.err(`${error}\n`);
    return 1;
  }
  const { config } = loaded;
  const logger = await createLogger({ level: config.log.level, redact });
  let watcher: FileWatch | undefined;
  // Before the start, which may take long: process 1 of a container never gets a signal that has no listener.
  const stopping = stopReason(io, logger);
  try {
    const demo = withDemo ? await startDemo(config) : undefined;
    const starting = App.start(config, {
      clock: systemClock,
      random: systemRandom,
      logger,
      droppedLogLines: () => logger.droppedLines(),
      version: packageVersion,
      load: () => {
        const found = load(file, io);
        watcher?.loaded(found.files);
        return found;
      },
    });
    const app = await Promise.race([starting, stopping]);
    // Told to stop before any call could come: there is nothing to drain.
    if (typeof app === 'number') return app;
    for (const warning of loaded.warnings) logger.warn({}, warning);
    announce(app, config, logger);
    watcher = new FileWatch(loaded.files, systemClock, () => void app.reload());
    onHangup(() => void app.reload());
    const code = await stopping;
    watcher.close();
    // After a bug, no call may begin in a process whose state is unknown.
    await (code === 0 ? app.leave() : app.stop());
    await demo?.close();
    logger.info({}, 'stopped');
    return code;
  } catch (error) {
    io.err(`${startFailure(error)}\n`);
    return 1;
  } finally {
    await logger.flushed();
  }
};

/** Listens for SIGHUP from now on. A signal that comes before the result is called with a listener counts then. */
function hangups(io: Io): (listener: () => void) => void {
  let asked = false;
  let told: (() => void) | undefined;
  io.onSignal('SIGHUP', () => {
    if (told === undefined) asked = true;
    else told();
  });
  return (listener) => {
    told = listener;
    if (asked) listener();
  };
}

function load(file: string, io: Io): LoadResult & { readonly files: Digests } {
  const loaded = loadFor(io, file);
  const { files } = loaded;
  if (!loaded.ok) return { ok: false, errors: loaded.problems.map(formatProblem), files };
  return { ok: true, config: loaded.config, warnings: loaded.warnings.map(formatProblem), files };
}

function announce(app: App, { upstreams }: Config, logger: Logger): void {
  for (const upstream of upstreams) {
    const { name, mount } = upstream;
    const base = 'path' in mount ? `${app.url}${mount.path}` : `Host: ${mount.host}`;
    logger.info({ upstream: name }, `${base} → ${shownUrl(upstream)}`);
  }
  logger.info({ version: packageVersion, node: nodeVersion, admin: app.adminUrl }, `listening on ${app.url}`);
}

/** The unreliable API of the README's examples, where the upstream `demo` expects it. */
async function startDemo(config: Config): Promise<{ close(): Promise<void> }> {
  const demo = config.upstreams.find(({ name }) => name === 'demo');
  if (demo === undefined)
    throw new Error('--demo needs an upstream named "demo" with a url such as http://127.0.0.1:8090');
  const { startDemoApi } = await import('../../examples/demo-api/server.ts');
  const { hostname, port } = new URL(demo.origin);
  try {
    return await startDemoApi({ host: hostname, port: Number(port) });
  } catch (error) {
    const failure = listenFailure(
      error,
      'the url of the upstream "demo" (DEMO_URL sets it in the shipped config.yaml)',
    );
    throw failure === undefined ? error : new Error(`the demo API ${failure}`, { cause: error });
  }
}

const REASONS: ReadonlyMap<string, (setting: string) => string> = new Map(
  Object.entries<(setting: string) => string>({
    EADDRINUSE: (setting) => `the address is in use; stop the other process or change ${setting}`,
    EACCES: () => 'no permission for this port; use one above 1023',
    EADDRNOTAVAIL: () => 'this machine has no such address',
  }),
);

function startFailure(error: unknown): string {
  const why = error instanceof Error ? error.message : String(error);
  return listenFailure(error, '"listen" and "admin" in the configuration') ?? `cannot start: ${why}`;
}

/** What kept a server from listening, and what to do about it; `setting` is what its address is from. */
function listenFailure(error: unknown, setting: string): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  const reason = REASONS.get(code ?? '')?.(setting);
  return reason === undefined ? undefined : `cannot listen on ${address}:${port}: ${reason}`;
}
