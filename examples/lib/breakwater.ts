import { App } from '../../src/app/app.ts';
import { loadConfig } from '../../src/config/load.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { Logger } from '../../src/runtime/logger.ts';
import { systemRandom } from '../../src/runtime/random.ts';

const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  setLevel: () => undefined,
};

export interface Proxy {
  readonly url: string;
  readonly adminUrl: string;
  /** The number of client requests that have ended. */
  readonly calls: number;
  stop(): Promise<void>;
}

/** Starts Breakwater in this process, with the content of a config.yaml and free ports. */
export async function startBreakwater(yaml: string): Promise<Proxy> {
  const text = `listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n${yaml}`;
  const loaded = loadConfig('config.yaml', {}, () => text);
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join('\n'));
  const { config } = loaded;
  let calls = 0;
  const app = await App.start(config, {
    clock: systemClock,
    random: systemRandom,
    logger: SILENT,
    version: 'example',
    observer: { callEnded: () => calls++ },
    load: () => ({ ok: true, config, warnings: [] }),
  });
  return {
    url: app.url,
    adminUrl: app.adminUrl,
    get calls() {
      return calls;
    },
    stop: () => app.stop(0),
  };
}
