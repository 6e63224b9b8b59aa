import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

/** Which folders of src/ may import which others. `main.ts` and `app.ts` count as folders of their own. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  runtime: [],
  http: [],
  proxy: ['http', 'runtime'],
  policies: ['proxy', 'http', 'runtime'],
  upstream: ['proxy', 'http', 'runtime'],
  metrics: ['proxy'],
  presets: ['http', 'policies', 'proxy'],
  durable: ['proxy', 'http', 'runtime'],
  config: ['http', 'policies', 'proxy', 'presets', 'durable', 'runtime'],
  admin: ['proxy', 'config', 'metrics', 'runtime', 'http', 'durable'],
  // The pipelines of the data path in virtual time: app's assembly of policies, never its servers.
  simulate: ['app', 'config', 'policies', 'proxy', 'http', 'runtime'],
  cli: ['app', 'simulate', 'config', 'policies', 'proxy', 'runtime'],
  app: [
    'runtime',
    'http',
    'proxy',
    'policies',
    'upstream',
    'metrics',
    'config',
    'admin',
    'durable',
    'presets',
  ],
  main: ['app', 'cli', 'config', 'runtime'],
};

/** Each third-party package has one owner. */
const OWNER: Readonly<Record<string, readonly string[]>> = {
  undici: ['upstream'],
  'http-proxy-3': ['upstream'],
  'prom-client': ['metrics'],
  pino: ['runtime'],
  'pino-pretty': ['runtime'],
  yaml: ['config'],
  zod: ['config'],
  'ipaddr.js': ['http'],
  re2js: ['http'],
  'lru-cache': ['policies', 'app'],
  pg: ['durable'],
  croner: ['durable'],
};

/** `config` sees what policies are set to, never what they do. */
const TYPES_ONLY: Readonly<Record<string, readonly string[]>> = {
  config: ['policies', 'proxy', 'durable'],
  presets: ['http', 'policies', 'proxy'],
};

/** … but it asks those who know what a text means, so that what is wrong with one is said at its line. */
const READERS: ReadonlySet<string> = new Set([
  'src/durable/callbacks/sign.ts',
  'src/durable/callbacks/target.ts',
  'src/durable/schedules/cron.ts',
  'src/routing/router.ts',
]);

/** The one place that knows all policies: it puts them in order. */
const ORDER = 'src/policies/order.ts';

const IMPORT =
  /^(import|export)\s(type\s)?(?:[^'"]*?\sfrom\s+)?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/gm;
const folderOf = (file: string) => (relative('src', file).split('/')[0] ?? '').replace(/\.ts$/, '');

const policyOf = (file: string) => relative('src', file).split('/')[1];
const packageOf = (target: string) => target.split('/', target.startsWith('@') ? 2 : 1).join('/');

const files = globSync('src/**/*.ts');

test('there is something to check', () => expect(files.length).toBeGreaterThan(20));

test.each(files)('%s keeps to the import table', (file) => expect(violations(file)).toEqual([]));

/** Every import of `file` that the tables above do not allow. */
function violations(file: string): string[] {
  const imports = [...readFileSync(file, 'utf8').matchAll(IMPORT)];
  return imports
    .map(([, , type, fixed, dynamic]) => violation(file, fixed ?? dynamic ?? '', type !== undefined))
    .filter((problem) => problem !== undefined);
}

function violation(file: string, target: string, typesOnly: boolean): string | undefined {
  const folder = folderOf(file);
  if (!target.startsWith('.')) {
    const owners = OWNER[packageOf(target)];
    if (owners !== undefined)
      return owners.includes(folder) ? undefined : `${target} belongs to ${owners.join()}`;
    if (target === 'node:http' && !typesOnly) return 'runtime/node-http.ts says why it is not imported';
    return target.startsWith('node:') ? undefined : `${target} has no owner`;
  }
  const path = join(dirname(file), target);
  // Who we are and what we need, in one place.
  if (path === 'package.json')
    return folder === 'runtime' ? undefined : 'only the runtime reads package.json';
  if (path.startsWith('examples/')) return folder === 'cli' ? undefined : 'only the cli starts the demo';
  const other = folderOf(path);
  if (other === folder) {
    const strays = folder === 'policies' && file !== ORDER && policyOf(path) !== policyOf(file);
    return strays ? `${target}: policies never import each other` : undefined;
  }
  if (MAY_IMPORT[folder]?.includes(other) !== true) return `${target}: ${folder} may not import ${other}`;
  if (TYPES_ONLY[folder]?.includes(other) === true && !typesOnly && !READERS.has(path))
    return `${target}: types only`;
  return undefined;
}

test('nothing of durable requests is loaded before a route asks for them', () => {
  const static_ = /^import\s(?!type\s)[^'"]*?from\s+['"]([^'"]+)['"]/gm;
  const outside = files.filter((file) => folderOf(file) !== 'durable');
  const loaded = outside.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(static_)]
      .map(([, target = '']) => join(dirname(file), target))
      .filter((target) => folderOf(target) === 'durable' || target === 'src/app/durable/durable.ts')
      .filter((target) => !READERS.has(target))
      .map((target) => `${file} → ${target}`),
  );
  // Which are themselves loaded by no other.
  const lazy = /^src\/app\/(durable|callback-hosts)\.ts →/;
  expect(loaded.filter((line) => !lazy.test(line))).toEqual([]);
});

test('nothing that an older Node may lack is loaded before its version is looked at', () => {
  const loaded = (file: string): string[] =>
    [...readFileSync(file, 'utf8').matchAll(IMPORT)]
      .filter(([, , type, fixed]) => type === undefined && fixed !== undefined)
      .map(([, , , fixed = '']) => (fixed.startsWith('.') ? join(dirname(file), fixed) : fixed))
      .flatMap((target) => [target, ...(target.endsWith('.ts') ? loaded(target) : [])]);
  expect(loaded('src/main.ts')).toEqual(['src/runtime/process.ts', 'package.json']);
});

test('only one file calls what throws on a closed stream of HTTP/2', () => {
  const calls = /\.(?:respond|respondWithFD|respondWithFile|additionalHeaders|sendTrailers|pushStream)\(/;
  const callers = files.filter((file) => calls.test(readFileSync(file, 'utf8')));
  expect(callers).toEqual(['src/server/http2-stream.ts']);
});

/** `toString` and `constructor` are in every object: what comes from outside is looked up in a Map, or after `Object.hasOwn`. */
test.each(files)('%s looks nothing up by text in a plain table', (file) => {
  const source = readFileSync(file, 'utf8');
  const tables = [...source.matchAll(/^(?:export )?const (\w+): Readonly<Record<(?:number \| )?string\b/gm)];
  const lookups = tables.flatMap(([, name]) =>
    source.split('\n').filter((line) => line.includes(`${name}[`)),
  );
  expect(lookups.filter((line) => !line.includes('Object.hasOwn('))).toEqual([]);
});
