/** A folder of src/, and what the folders above it may rely on. */
export interface Room {
  /** One line for docs/architecture.md. */
  readonly holds: string;
  /** The other rooms that its files may import. */
  readonly imports: readonly string[];
  /** Of those, the rooms whose types alone may be imported. */
  readonly typesOnly?: readonly string[];
}

/** Rooms that the configuration sets up. It sees their options, never their behaviour. */
const OPTIONS_OF = ['policies', 'auth', 'proxy', 'durable', 'fleet', 'server', 'telemetry'] as const;

/** Which folders of src/ may import which others, from the lowest to the highest. */
export const ROOMS: Readonly<Record<string, Room>> = {
  runtime: { holds: 'clock, randomness, logger, abort signals, process: all that is ambient', imports: [] },
  http: { holds: 'knowledge of HTTP, without policy and without I/O', imports: ['runtime'] },
  routing: { holds: 'which route a request takes: patterns, allow-lists, the router', imports: ['http'] },
  proxy: {
    holds: 'the seam between server, policies and upstream: call, attempt, pipeline, errors, notes, route',
    imports: ['http', 'runtime'],
  },
  telemetry: {
    holds: 'what is observed of calls: records, log lines, metrics, traces, traffic',
    imports: ['proxy', 'http', 'runtime'],
  },
  policies: {
    holds: 'when and how an attempt is made: one folder each, put in order by order.ts',
    imports: ['proxy', 'http', 'runtime'],
  },
  auth: {
    holds: 'the credentials that the proxy adds to attempts: Basic, query parameters, OAuth 2.0, SigV4',
    imports: ['proxy', 'http', 'runtime'],
  },
  upstream: {
    holds: 'one attempt on one connection: DNS, TLS, HTTP/1.1, HTTP/2, egress proxies',
    imports: ['proxy', 'http', 'runtime'],
  },
  server: {
    holds: "the client's side of a call: listeners, HTTP/2, bodies, tunnels, problem replies",
    imports: ['telemetry', 'routing', 'proxy', 'http', 'runtime'],
  },
  presets: {
    holds: 'what is known about APIs, one data file each',
    imports: ['http'],
    typesOnly: ['http'],
  },
  durable: {
    holds: 'requests that are accepted, stored and carried out later',
    imports: ['telemetry', 'routing', 'proxy', 'http', 'runtime'],
  },
  fleet: {
    holds: 'what replicas share: quota windows, through Redis or PostgreSQL',
    imports: ['runtime'],
  },
  'config/fields': { holds: 'how one value is written and read', imports: ['http', 'runtime'] },
  'config/keys': {
    holds: 'which keys exist, with defaults and documentation',
    imports: ['config/fields', 'http', 'policies', 'durable', 'telemetry'],
    typesOnly: ['policies', 'durable', 'telemetry'],
  },
  'config/read': {
    holds: 'text to values: YAML, interpolation, places in the file, problems',
    imports: ['config/fields'],
  },
  'config/resolve': {
    holds: 'values to settings: inheritance, presets, checks across keys',
    imports: [
      'config',
      'config/read',
      'config/keys',
      'config/fields',
      'presets',
      'routing',
      'http',
      ...OPTIONS_OF,
    ],
    typesOnly: OPTIONS_OF,
  },
  'config/show': {
    holds: 'settings to text: explain, the JSON schema, docs/keys.md',
    imports: [
      'config',
      'config/resolve',
      'config/read',
      'config/keys',
      'config/fields',
      'auth',
      'routing',
      'http',
    ],
    typesOnly: ['auth'],
  },
  config: {
    holds: 'the type of a checked configuration, and its loading',
    imports: ['config/resolve', 'config/read', 'config/keys', 'routing', 'http', 'runtime', ...OPTIONS_OF],
    typesOnly: OPTIONS_OF,
  },
  admin: {
    holds: 'the admin API and the page',
    imports: ['durable', 'telemetry', 'proxy', 'http', 'runtime'],
  },
  app: {
    holds: 'assembly: which parts make a running proxy',
    imports: [
      'admin',
      'auth',
      'config',
      'config/fields',
      'config/resolve',
      'config/show',
      'durable',
      'fleet',
      'policies',
      'proxy',
      'routing',
      'server',
      'telemetry',
      'upstream',
      'http',
      'runtime',
    ],
  },
  simulate: {
    holds: 'the same policies in virtual time, without servers',
    imports: ['app', 'config', 'fleet', 'policies', 'proxy', 'server', 'telemetry', 'http', 'runtime'],
  },
  cli: {
    holds: 'the commands',
    imports: [
      'app',
      'simulate',
      'config',
      'config/fields',
      'config/read',
      'config/resolve',
      'config/show',
      'policies',
      'proxy',
      'routing',
      'telemetry',
      'runtime',
    ],
  },
  main: { holds: 'the entry point', imports: ['cli', 'runtime'] },
};

/** Each third-party package has one owner. */
export const OWNER: Readonly<Record<string, readonly string[]>> = {
  undici: ['upstream'],
  oauth4webapi: ['auth'],
  '@smithy/signature-v4': ['auth'],
  'prom-client': ['telemetry'],
  '@opentelemetry/api': ['telemetry'],
  '@opentelemetry/sdk-trace': ['telemetry'],
  '@opentelemetry/resources': ['telemetry'],
  '@opentelemetry/exporter-trace-otlp-proto': ['telemetry'],
  pino: ['runtime'],
  'pino-pretty': ['runtime'],
  yaml: ['config/read', 'config/resolve'],
  zod: ['config/fields', 'config/keys', 'config/read', 'config/resolve', 'config/show'],
  'ipaddr.js': ['http'],
  re2js: ['http'],
  '@smithy/core': ['http'],
  'lru-cache': ['policies', 'app', 'fleet'],
  pg: ['durable', 'fleet'],
  '@redis/client': ['fleet'],
  croner: ['durable'],
};

/** The configuration uses the parsers of these packages, so that a mistake is reported at its line. */
export const READERS: ReadonlySet<string> = new Set([
  'src/durable/callbacks/sign.ts',
  'src/durable/callbacks/target.ts',
  'src/durable/schedules/cron.ts',
]);

/** `ROOMS` in Markdown, from the lowest to the highest, for docs/architecture.md. */
export function roomsTable(): string {
  const rows = Object.entries(ROOMS).map(([room, { holds, imports, typesOnly = [] }]) => {
    const shown = imports.map((other) => (typesOnly.includes(other) ? `${other} (types)` : other));
    return `| \`${room}\` | ${holds} | ${shown.join(', ') || '–'} |`;
  });
  return ['| room | holds | may import |', '| --- | --- | --- |', ...rows].join('\n');
}

/** `OWNER` in Markdown. */
export function ownersTable(): string {
  const rows = Object.entries(OWNER).map(([name, rooms]) => `| ${name} | ${rooms.join(', ')} |`);
  return ['| package | used in |', '| --- | --- |', ...rows].join('\n');
}
