import { onTestFinished } from 'vitest';
import { App } from '../../src/app/app.ts';
import type { Config } from '../../src/config/config.ts';
import { inspect } from '../../src/cli/inspect.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import type { StateEvent } from '../../src/proxy/events.ts';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import type { Logger } from '../../src/runtime/logger.ts';
import type { Random } from '../../src/runtime/random.ts';
import type { CallRecord } from '../../src/telemetry/call-record.ts';
import { Changes } from './changes.ts';
import { FakeClock } from './fake-clock.ts';
import { seededRandom } from './seeded-random.ts';

export interface Breakwater {
  readonly app: App;
  readonly url: string;
  readonly port: number;
  readonly adminUrl: string;
  /** Calls that have ended, in order. */
  readonly ended: readonly CallRecord[];
  readonly states: readonly StateEvent[];
  readonly logs: readonly { level: string; message: string; fields: Readonly<Record<string, unknown>> }[];
  /** Resolves once `count` calls have ended. */
  untilEnded(count: number): Promise<readonly CallRecord[]>;
  /** Resolves once `condition` holds; asked again at every event. */
  until(condition: () => boolean): Promise<void>;
  /** The configuration for the next reload. */
  rewrite(yaml: string): void;
}

export interface BreakwaterOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  /** The environment of the configuration. Default: empty. */
  readonly env?: Readonly<Record<string, string>>;
  /** Awaited by each reload before it reads the configuration. */
  readonly beforeReload?: () => Promise<void>;
  /** Changes what a reload has loaded, as no file can. */
  readonly reloaded?: (config: Config) => Config;
}

/** Retries without a wait and without randomness. */
export const NO_WAIT = `
defaults:
  retry:
    backoff: { kind: constant, base: 0ms, overloaded_base: 0ms, jitter: none }
`;

/** The whole proxy in this process, from YAML as a user writes it, on free ports; stopped when the test has finished. */
export async function startBreakwater(yaml: string, options: BreakwaterOptions = {}): Promise<Breakwater> {
  const changes = new Changes();
  const ended: CallRecord[] = [];
  const states: StateEvent[] = [];
  const logs: { level: string; message: string; fields: Readonly<Record<string, unknown>> }[] = [];
  let text = yaml;
  const head = 'listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n';
  const load = () => {
    const loaded = loadConfig('config.yaml', options.env ?? {}, () => head + text);
    if (!loaded.ok) return { ok: false as const, errors: loaded.problems.map(formatProblem) };
    return { ...loaded, warnings: loaded.warnings.map(formatProblem) };
  };
  const loaded = load();
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'));
  const write = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) => {
    logs.push({ level, message, fields });
    changes.notify();
  };
  const logger: Logger = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    setLevel: () => {},
  };
  const app = await App.start(loaded.config, {
    clock: options.clock ?? systemClock,
    random: options.random ?? seededRandom(1),
    logger,
    version: 'test',
    load: async () => {
      await options.beforeReload?.();
      const again = load();
      return again.ok ? { ...again, config: options.reloaded?.(again.config) ?? again.config } : again;
    },
    ask: (question) => inspect(question, { file: 'config.yaml', env: {}, readFile: () => head + text }),
    observer: {
      attemptStarted: () => changes.notify(),
      attemptEnded: () => changes.notify(),
      noted: () => changes.notify(),
      callEnded: (record) => {
        ended.push(record);
        changes.notify();
      },
      stateChanged: (_upstream, event) => {
        states.push(event);
        changes.notify();
      },
    },
  });
  if (options.clock instanceof FakeClock) options.clock.hasStarted();
  onTestFinished(async () => {
    const stopped = app.stop(0);
    // With a stopped clock, the grace period would never end.
    if (options.clock instanceof FakeClock) await options.clock.advance(1_000);
    await stopped;
  });
  return {
    app,
    url: app.url,
    port: Number(new URL(app.url).port),
    adminUrl: app.adminUrl,
    ended,
    states,
    logs,
    untilEnded: async (count) => {
      await changes.until(() => ended.length >= count);
      return ended;
    },
    until: (condition) => changes.until(condition),
    rewrite: (next) => {
      text = next;
    },
  };
}

/** `upstreams: { api: … }` for one origin without anything special. */
export function apiConfig(origin: { readonly url: string }, more = ''): string {
  return `${NO_WAIT}\nupstreams:\n  api:\n    url: ${origin.url}\n    allow_private: true\n${more}`;
}
