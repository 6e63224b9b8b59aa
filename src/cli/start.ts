import type { App, LoadResult } from '../app/app.ts';
import { StoreOpening } from '../app/durable/store-opening.ts';
import type { Config } from '../config/config.ts';
import { listingIn, type Loaded, loadConfig, readingIn } from '../config/load.ts';
import { type Digests, unreadable } from '../config/read/digests.ts';
import type { LoadRequest } from '../config/load-protocol.ts';
import { loadInThread, type ReloadedConfig } from '../config/load-thread.ts';
import { formatProblem } from '../config/read/problem.ts';
import { isDurable } from '../config/resolve/durable.ts';
import { shownUrl } from '../config/show/effective.ts';
import { FileWatch } from '../config/watch-file.ts';
import { systemClock } from '../runtime/clock.ts';
import { createLogger, type Logger } from '../runtime/logger.ts';
import { allocateYoung, nodeVersion, packageVersion } from '../runtime/process.ts';
import { systemRandom } from '../runtime/random.ts';
import { endThreads } from '../runtime/threads.ts';
import { redact } from '../telemetry/redact.ts';
import { CONFIG_OPTION, loadFor, readArgs } from './args.ts';
import { DEMO_URL, orDemo } from './demo-config.ts';
import { Inspector } from './inspect-thread.ts';
import type { Command, Io } from './io.ts';
import { stopReason } from './stop-reason.ts';

const USAGE = {
  text: `Usage: breakwater start [--config FILE] [--demo]

Runs the proxy. SIGHUP, or a change of the file, reloads the configuration. If the new one has problems, the old one
stays in effect. SIGTERM or SIGINT drains: calls are accepted for drain_delay, then running calls may take
drain_timeout. A second signal ends the process at once.

  -c, --config FILE   the configuration (default config.yaml)
      --demo          also run the unreliable demo API at the url of the upstream "demo"; needs no configuration
  -h, --help          this text

Exit codes: 0 stopped by a signal, 1 could not start or stopped after a bug, 2 wrong usage.
`,
  options: { ...CONFIG_OPTION, demo: { type: 'boolean', default: false } },
  words: [],
} as const;

/** `breakwater start`: runs the proxy until a signal stops it. */
export const start: Command = async (args, io) => {
  const called = readArgs(args, USAGE, io);
  if ('exit' in called) return called.exit;
  const { config: file, demo: withDemo } = called.values;
  const { env, cwd } = io;
  const onHangup = hangups(io);
  const loaded = asLines(loadAtStart(io, file, withDemo));
  if (!loaded.ok) return refused(loaded.errors, io);
  const { config } = loaded;
  const opening = await storeOpening(config);
  const logger = await createLogger({ level: config.log.level, redact });
  let watcher: FileWatch | undefined;
  // Before the start, which may take long: process 1 of a container does not receive a signal without a listener.
  const stopping = stopReason(io, logger);
  try {
    const inspector = new Inspector({ file, env, cwd, demo: withDemo }, systemClock);
    const demo = withDemo ? await startDemo(config) : undefined;
    const { App } = await import('../app/app.ts');
    const starting = App.start(config, {
      clock: systemClock,
      random: systemRandom,
      logger,
      droppedLogLines: () => logger.droppedLines(),
      version: packageVersion,
      opening,
      load: (running) => loadAgain({ file, env, cwd, running, watcher }),
      ask: (question) => inspector.ask(question),
    });
    const app = await Promise.race([starting, stopping]);
    // Stopped before any call arrived: there is nothing to drain.
    if (typeof app === 'number') return app;
    for (const warning of loaded.warnings) logger.warn({}, warning);
    announce(app, config, logger);
    allocateYoung();
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
    await finish(io, logger);
  }
};

function refused(errors: readonly string[], io: Io): number {
  for (const error of errors) io.err(`${error}\n`);
  return 1;
}

/** The thread of the store starts while this one loads the rest of the program. */
const storeOpening = async (config: Config): Promise<StoreOpening | undefined> =>
  isDurable(config) ? StoreOpening.begin(config.durable.store) : undefined;

/** Without the file, the demo has a configuration of its own. The file is loaded once somebody writes it. */
function loadAtStart(io: Io, file: string, withDemo: boolean): Loaded {
  if (!withDemo) return loadFor(io, file);
  let missing: string | undefined;
  const onMissing = (error: unknown) => void (missing = unreadable(error));
  const listFolder = listingIn(io.cwd);
  const loaded = loadConfig(file, io.env, orDemo(readingIn(io.cwd), file, onMissing), { listFolder });
  return missing === undefined ? loaded : { ...loaded, files: new Map([[file, missing]]) };
}

/** Leaves nothing that the end of the process would wait for. */
async function finish(io: Io, logger: Awaited<ReturnType<typeof createLogger>>): Promise<void> {
  await logger.flushed();
  if (!(await endThreads(systemClock))) io.killNow();
}

/** Listens for SIGHUP from now on. A signal before the returned function gets its listener is delivered then. */
function hangups(io: Io): (listener: () => void) => void {
  let asked = false;
  let notify: (() => void) | undefined;
  io.onSignal('SIGHUP', () => {
    if (notify === undefined) asked = true;
    else notify();
  });
  return (listener) => {
    notify = listener;
    if (asked) listener();
  };
}

interface Again extends LoadRequest {
  readonly running: Config;
  readonly watcher: FileWatch | undefined;
}

async function loadAgain({ running, watcher, ...request }: Again): Promise<LoadResult> {
  const found = asLines(await loadInThread(request, running, { clock: systemClock }));
  watcher?.loaded(found.files);
  return found;
}

/** Problems and warnings as lines for people. */
function asLines(loaded: ReloadedConfig): LoadResult & { readonly files: Digests } {
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
  logger.info({}, `the page for people: ${app.adminUrl}/`);
  if (app.metricsUrl !== '') logger.info({}, `metrics and probes alone: ${app.metricsUrl}/metrics`);
  logger.info({ version: packageVersion, node: nodeVersion, admin: app.adminUrl }, `listening on ${app.url}`);
}

/** Starts the unreliable API of the README's examples at the URL of the upstream `demo`. */
async function startDemo(config: Config): Promise<{ close(): Promise<void> }> {
  const demo = config.upstreams.find(({ name }) => name === 'demo');
  if (demo === undefined)
    throw new Error(
      `--demo needs an upstream named "demo"; write upstreams: { demo: { url: ${DEMO_URL}, allow_private: true } }`,
    );
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
    EACCES: () => 'no permission for this port; write a port above 1023',
    EADDRNOTAVAIL: () => 'this machine does not have this address; write one of its own, or 127.0.0.1',
  }),
);

function startFailure(error: unknown): string {
  const why = error instanceof Error ? error.message : String(error);
  return (
    listenFailure(error, '"listen", "admin" and "metrics" in the configuration') ?? `cannot start: ${why}`
  );
}

/** Why a server could not listen, and the fix; undefined for other errors. `setting`: where its address is set. */
function listenFailure(error: unknown, setting: string): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  const reason = REASONS.get(code ?? '')?.(setting);
  return reason === undefined ? undefined : `cannot listen on ${address}:${port}: ${reason}`;
}
