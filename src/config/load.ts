import { readdirSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { ServerTls } from '../server/options.ts';
import type { Config, RouteConfig } from './config.ts';
import { type FileInput, fileSchema, type ProcessInput, processSchema, sharedSchema } from './keys/schema.ts';
import { type Digests, digestOf, digestOfNames, patternKey, unreadable } from './read/digests.ts';
import { namesLike } from './read/file-pattern.ts';
import { reasonOf } from './read/interpolate.ts';
import { type PartsLookup, readParts } from './read/parts.ts';
import type { Places } from './read/places.ts';
import type { Problem } from './read/problem.ts';
import { Report } from './read/report.ts';
import { validate } from './read/validate.ts';
import { checkAdmin, checkPorts, metricsOptions } from './resolve/addresses.ts';
import { checkClients, clientOptions } from './resolve/clients.ts';
import { checkPrefix, durableProcessOptions } from './resolve/durable.ts';
import { checkErrorRules } from './resolve/error-rules.ts';
import { checkStreams } from './resolve/stream.ts';
import { checkFallbacks } from './resolve/fallback.ts';
import type { Origins, ResolveContext, Settings } from './resolve/context.ts';
import { builtIn, type Complete, type Inherited, inherit } from './resolve/inherit.ts';
import { checkMounts } from './resolve/mount.ts';
import { identity, type PemSource } from './resolve/pem.ts';
import { checkSharing, sharedOptions } from './resolve/shared.ts';
import { resolveSchedules } from './resolve/schedules.ts';
import { eventOptions } from './resolve/events.ts';
import { tracingOptions } from './resolve/tracing.ts';
import { resolveUpstream } from './resolve/upstreams.ts';

export type Loaded = Good | Bad;

interface ReadFiles {
  /** Each file that was or should have been read: as given, or joined to the folder of the config file. */
  readonly files: Digests;
}

export interface Good extends ReadFiles {
  readonly ok: true;
  /** Deeply frozen. */
  readonly config: Config;
  /** Which layer set which value, and where. */
  readonly origins: Origins;
  /** The keys of the process, and where each was set. */
  readonly process: Inherited<Complete<ProcessInput>>;
  readonly places: Places;
  /** Valid, but probably not intended. */
  readonly warnings: readonly Problem[];
  /** Suggestions that only `check` shows. */
  readonly hints: readonly Problem[];
}

interface Bad extends ReadFiles {
  readonly ok: false;
  /** All problems, in the order of the file. */
  readonly problems: readonly Problem[];
}

type ReadFile = (path: string) => string;
type ListFolder = (path: string) => readonly string[];

/** Reads files by paths relative to a folder. */
export const readingIn =
  (cwd: string): ReadFile =>
  (path) =>
    readFileSync(resolve(cwd, path), 'utf8');

/** Lists folders by paths relative to a folder. */
export const listingIn =
  (cwd: string): ListFolder =>
  (path) =>
    readdirSync(resolve(cwd, path));

interface LoadOptions {
  /** Lists the folders of patterns in `include` and `overlay`. */
  readonly listFolder?: ListFolder;
  /** YAML that is laid over the configuration, as a last file of `overlay`. */
  readonly last?: string | undefined;
}

/**
 * Reads and checks a config file, and fills in built-in values. Never throws for the content of the file: every problem is
 * reported with its place. `readFile` gets `file` as given, and the paths of `${file:…}` joined to its folder.
 */
export function loadConfig(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  readFile: ReadFile = (path) => readFileSync(path, 'utf8'),
  { listFolder = (path) => readdirSync(path), last }: LoadOptions = {},
): Loaded {
  const files = new Map<string, string>();
  const noting: ReadFile = (path) => {
    try {
      const text = readFile(path);
      files.set(path, digestOf(text));
      return text;
    } catch (error) {
      files.set(path, unreadable(error));
      throw error;
    }
  };
  const locate = (path: string): string => (isAbsolute(path) ? path : join(dirname(file), path));
  const lookup: PartsLookup = {
    env,
    readFile: (path) => noting(locate(path)),
    locate,
    namesLike: (pattern) => {
      const located = locate(pattern);
      const names = namesLike(located, listFolder(dirname(located)));
      files.set(patternKey(located), digestOfNames(names));
      return names;
    },
  };
  return { ...load(file, { lookup, readFile: noting, last }), files };
}

interface LoadSources {
  readonly lookup: PartsLookup;
  readonly readFile: ReadFile;
  readonly last: string | undefined;
}

function load(
  file: string,
  { lookup, readFile, last }: LoadSources,
): Omit<Good, 'files'> | Omit<Bad, 'files'> {
  let text: string;
  try {
    text = readFile(file);
  } catch (error) {
    const message = `cannot be read: ${reasonOf(error)}; write one with "breakwater init", or name another file with --config`;
    return { ok: false, problems: [{ file, line: 0, column: 0, path: '', message }] };
  }
  const source = readParts(file, text, lookup, last);
  const report = new Report(file, source.places);
  for (const problem of source.problems) report.add(problem);
  if (source.fatal) return { ok: false, problems: report.problems };

  const { findings, input } = validate(source.value, fileSchema);
  for (const { path, message, about } of findings) report.finding(path, message, about);
  if (input === undefined) return { ok: false, problems: report.problems };

  const origins = new Map<RouteConfig, Inherited<Settings>>();
  const { config, process } = resolveConfig(file, input, { report, origins, lookup });
  if (report.problems.length > 0) return { ok: false, problems: report.problems };
  return {
    ok: true,
    config: deepFreeze(config),
    origins,
    process,
    places: source.places,
    warnings: report.warnings,
    hints: report.hints,
  };
}

function resolveConfig(
  file: string,
  input: FileInput,
  { report, origins, lookup }: Pick<ResolveContext, 'report' | 'origins' | 'lookup'>,
): Pick<Good, 'config' | 'process'> {
  const { defaults = {}, upstreams = {}, schedules = {}, ...written } = input;
  const context: ResolveContext = {
    report,
    origins,
    lookup,
    builtIn: builtIn(sharedSchema),
    defaults: { name: 'defaults', path: ['defaults'], values: defaults },
  };
  const entries = Object.entries(upstreams);
  if (entries.length === 0) {
    report.problem(
      ['upstreams'],
      'no upstream is configured; write for example upstreams: { demo: { url: https://api.example.com } }',
      'key',
    );
  }
  const resolved = entries.map(([name, upstream]) => resolveUpstream(name, upstream, context));
  checkMounts(resolved, report);
  checkFallbacks(resolved, origins, report);
  checkErrorRules(origins, report);
  checkStreams(origins, report);
  const process = inheritedProcess(written);
  const config = processConfig(file, written, process.values, { report, readFile: lookup.readFile });
  checkPrefix(config.durable.prefix, resolved, report);
  checkClients(config, resolved, report);
  checkSharing(config.shared, resolved, report);
  const runs = resolveSchedules(schedules, resolved, report);
  return { config: { file, ...config, upstreams: resolved, schedules: runs }, process };
}

function inheritedProcess(written: ProcessInput): Inherited<Complete<ProcessInput>> {
  return inherit<ProcessInput>([builtIn(processSchema), { name: 'the file', path: [], values: written }]);
}

function processConfig(
  file: string,
  input: ProcessInput,
  values: Complete<ProcessInput>,
  source: PemSource,
): Omit<Config, 'file' | 'upstreams' | 'schedules'> {
  const { report } = source;
  const { admin_token: token } = input;
  const { listen, admin, log, clients } = values;
  checkAdmin(admin, token, report);
  const metrics = metricsOptions(input.metrics ?? {}, report);
  checkPorts({ listen, admin, metrics }, report);
  return {
    listen,
    tls: serverTls(values.tls, source),
    admin: { ...admin, token },
    metrics,
    log: { level: log.level, requests: log.requests, slowMs: log.slow, path: log.path },
    events: eventOptions(values.events, input.events, report),
    tracing: tracingOptions(values.tracing, input.tracing, report),
    clients: clientOptions(clients, listen, report),
    bodyMemoryBytes: values.body_memory,
    drainDelayMs: values.drain_delay,
    drainTimeoutMs: values.drain_timeout,
    responseHeaders: values.response_headers,
    durable: durableProcessOptions(file, values.durable, report),
    shared: sharedOptions(values.shared, input.shared, report),
  };
}

function serverTls(written: Complete<ProcessInput>['tls'], source: PemSource): ServerTls | undefined {
  const { cert, key } = identity(
    { text: written.cert, path: ['tls', 'cert'] },
    { text: written.key, path: ['tls', 'key'] },
    source,
  );
  return cert === undefined || key === undefined ? undefined : { cert, key, minVersion: written.min_version };
}

export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const child of Object.values(value)) deepFreeze(child);
  return value;
}
