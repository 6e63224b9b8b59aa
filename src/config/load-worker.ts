import { parentPort, workerData } from 'node:worker_threads';
import { listingIn, loadConfig, readingIn } from './load.ts';
import {
  type LoadRequest,
  type Outline,
  type Reading,
  ROUTES_PER_MESSAGE,
  type SomeRoutes,
} from './load-protocol.ts';

/** The thread of `loadInThread`: loads one configuration, and sends it in parts. */
const { file, cwd, env } = workerData as LoadRequest;
const read = readingIn(cwd);
const list = listingIn(cwd);
const loaded = loadConfig(file, env, saying(read), { listFolder: saying(list) });
const routes = loaded.ok ? loaded.config.upstreams.flatMap((upstream) => upstream.routes) : [];

let sent = 0;
parentPort?.on('message', () => {
  parentPort?.postMessage(routes.slice(sent, sent + ROUTES_PER_MESSAGE) satisfies SomeRoutes);
  sent += ROUTES_PER_MESSAGE;
});
parentPort?.postMessage(outline());

/** Says what is read before and after. */
function saying<T>(reading: (path: string) => T): (path: string) => T {
  return (path) => {
    say(path);
    try {
      return reading(path);
    } finally {
      say(undefined);
    }
  };
}

function say(reading: string | undefined): void {
  parentPort?.postMessage({ reading } satisfies Reading);
}

function outline(): Outline {
  const { files } = loaded;
  if (!loaded.ok) return { ok: false, problems: loaded.problems, files };
  const { upstreams, ...config } = loaded.config;
  return {
    ok: true,
    config,
    upstreams: upstreams.map(({ routes: own, ...upstream }) => ({ upstream, routes: own.length })),
    warnings: loaded.warnings,
    files,
  };
}
