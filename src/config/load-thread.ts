import { isDeepStrictEqual } from 'node:util';
import type { Clock, Timer } from '../runtime/clock.ts';
import { startThread } from '../runtime/threads.ts';
import type { Config, RouteConfig, UpstreamConfig } from './config.ts';
import { deepFreeze, type Good, type Loaded } from './load.ts';
import {
  type LoadedOutline,
  type LoadRequest,
  MORE,
  type Outline,
  type Reading,
  type SomeRoutes,
} from './load-protocol.ts';

/** The worker is next to this file, both in the source and in the bundle. */
const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './load-worker.ts' : './load-worker.js',
  import.meta.url,
);

/** Reading a file takes milliseconds. One that takes longer is a pipe, or on a network share that does not answer. */
const LONGEST_READ_MS = 10_000;

/** All of a load. Thousands of routes on a tenth of a CPU take a minute or two. */
const LONGEST_MS = 300_000;

/** V8 does not return all memory of a thread that ended. With 3000 routes, this limit leaves 60 MB less, and takes no more time. */
const YOUNG_MB = 6;

interface ThreadDeps {
  readonly clock: Clock;
  /** Replaces the thread in tests. */
  readonly script?: URL;
}

/** As `loadConfig` gives it, without what only `explain` needs. */
export type ReloadedConfig = Pick<Good, 'ok' | 'config' | 'warnings' | 'files'> | Exclude<Loaded, Good>;

/**
 * `loadConfig` in a thread of its own: calls go on meanwhile. Routes and upstreams that are as in `running` are the same
 * objects. Rejects if the thread ends before all was received, for example without memory, and if it takes `LONGEST_MS`, or
 * `LONGEST_READ_MS` for one file: later reloads wait for this one.
 */
export async function loadInThread(
  request: LoadRequest,
  running: Config,
  { clock, script = WORKER }: ThreadDeps,
): Promise<ReloadedConfig> {
  const env = { ...request.env };
  const workerData = { ...request, env } satisfies LoadRequest;
  const { worker, failed, fail } = startThread(
    script,
    { workerData, resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } },
    'the thread that reads it ended early',
  );
  const failIn = (ms: number, why: string) => clock.timer(ms, () => fail(new Error(why)));
  const limit = failIn(LONGEST_MS, `the thread that reads it is not done after ${LONGEST_MS / 60_000}m`);
  let readLimit: Timer | undefined;
  let receive: (message: unknown) => void = () => undefined;
  worker.on('message', (message: Reading | Outline | SomeRoutes) => {
    if (!('reading' in message)) return receive(message);
    readLimit?.cancel();
    const { reading } = message;
    if (reading !== undefined) readLimit = failIn(LONGEST_READ_MS, unread(reading));
  });
  const received = <T>() =>
    Promise.race([failed, new Promise<T>((resolve) => (receive = resolve as typeof receive))]);
  try {
    const outline = await received<Outline>();
    if (!outline.ok) return outline;
    return await assembled(outline, running, () => {
      worker.postMessage(MORE);
      return received<SomeRoutes>();
    });
  } finally {
    limit.cancel();
    readLimit?.cancel();
    void worker.terminate();
  }
}

const unread = (file: string): string =>
  `${file} takes longer than ${LONGEST_READ_MS / 1_000}s; it may be a pipe, or on a network share that does not answer`;

async function assembled(
  { config, upstreams: outlines, warnings, files }: LoadedOutline,
  running: Config,
  more: () => Promise<SomeRoutes>,
): Promise<ReloadedConfig> {
  const known = new Map(running.upstreams.map((upstream) => [upstream.name, upstream]));
  const upstreams: UpstreamConfig[] = [];
  let waiting: RouteConfig[] = [];
  for (const outline of outlines) {
    const before = known.get(outline.upstream.name);
    const routes: RouteConfig[] = [];
    while (routes.length < outline.routes) {
      if (waiting.length === 0) waiting = [...(await more())];
      const batch = waiting.splice(0, outline.routes - routes.length);
      for (const route of batch) routes.push(reusedIfEqual(before?.routes[routes.length], route));
    }
    upstreams.push(reusedIfEqual<UpstreamConfig>(before, { ...outline.upstream, routes }));
  }
  return { ok: true, config: deepFreeze({ ...config, upstreams }), warnings, files };
}

/** Equal values share memory, and are found equal at a glance later. */
function reusedIfEqual<T>(before: T | undefined, now: T): T {
  return before !== undefined && isDeepStrictEqual(before, now) ? before : deepFreeze(now);
}
