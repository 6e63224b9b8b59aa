import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { OWNER, READERS, ROOMS } from './support/import-table.ts';

/** The one place that knows all policies: it puts them in order. */
const ORDER = 'src/policies/order.ts';

const IMPORT =
  /^(import|export)\s(type\s)?(?:[^'"]*?\sfrom\s+)?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/gm;
/** Its folder below src/; of config/ the folder inside, which is a room of its own. */
function roomOf(file: string): string {
  const [first = '', second = '', ...deeper] = relative('src', file).split('/');
  return first === 'config' && deeper.length > 0 ? `${first}/${second}` : first.replace(/\.ts$/, '');
}

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
  const folder = roomOf(file);
  const room = ROOMS[folder];
  if (!target.startsWith('.')) {
    const owners = OWNER[packageOf(target)];
    if (owners !== undefined)
      return owners.includes(folder) ? undefined : `${target} belongs to ${owners.join()}`;
    if (target === 'node:http' && !typesOnly) return 'runtime/node-http.ts says why it is not imported';
    return target.startsWith('node:') ? undefined : `${target} has no owner`;
  }
  const path = join(dirname(file), target);
  // Name and dependencies of the package, in one place.
  if (path === 'package.json')
    return folder === 'runtime' ? undefined : 'only the runtime reads package.json';
  if (path.startsWith('examples/')) return folder === 'cli' ? undefined : 'only the cli starts the demo';
  const other = roomOf(path);
  if (other === folder) {
    const strays = folder === 'policies' && file !== ORDER && policyOf(path) !== policyOf(file);
    return strays ? `${target}: policies never import each other` : undefined;
  }
  if (room?.imports.includes(other) !== true) return `${target}: ${folder} may not import ${other}`;
  if (room.typesOnly?.includes(other) === true && !typesOnly && !READERS.has(path))
    return `${target}: types only`;
  return undefined;
}

test('no file imports itself by way of others, not even for a type', () => {
  const imports = new Map(files.map((file) => [file, importsOf(file)]));
  expect(circlesIn(imports)).toEqual([]);
});

test('every room is in the table, and every row of the table is a room', () =>
  expect([...new Set(files.map(roomOf))].toSorted()).toEqual(Object.keys(ROOMS).toSorted()));

test('the table has no row that allows more than is used', () => {
  const used = new Set(
    files.flatMap((file) => importsOf(file).map((to) => `${roomOf(file)} → ${roomOf(to)}`)),
  );
  const allowed = Object.entries(ROOMS).flatMap(([room, { imports }]) =>
    imports.map((other) => `${room} → ${other}`),
  );
  expect(allowed.filter((row) => !used.has(row))).toEqual([]);
});

/** The files of src/ that `file` imports, types included. */
function importsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(IMPORT)]
    .map(([, , , fixed, dynamic]) => fixed ?? dynamic ?? '')
    .filter((target) => target.startsWith('.'))
    .map((target) => join(dirname(file), target))
    .filter((target) => files.includes(target));
}

/** Files that import each other, each circle once, from a depth-first search. */
function circlesIn(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const circles: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file);
    if (start >= 0) return void circles.push([...path.slice(start), file].join(' → '));
    if (done.has(file)) return;
    for (const next of imports.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return circles;
}

test('nothing of durable requests is loaded before a route asks for them', () => {
  const static_ = /^import\s(?!type\s)[^'"]*?from\s+['"]([^'"]+)['"]/gm;
  const outside = files.filter((file) => roomOf(file) !== 'durable');
  const loaded = outside.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(static_)]
      .map(([, target = '']) => join(dirname(file), target))
      .filter((target) => roomOf(target) === 'durable' || target === 'src/app/durable/durable.ts')
      .filter((target) => !READERS.has(target))
      .map((target) => `${file} → ${target}`),
  );
  // Which are themselves loaded by no other.
  const lazy = /^src\/app\/durable\/(durable|callback-delivery)\.ts →/;
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

/** Fields of an attempt by which the two ends of a policy meet, and the policy that may set them. */
test.each([
  ['signatureExpiresAt', 'signature-age'],
  ['reservation', 'quota'],
  ['watch', 'silence'],
])('an attempt’s %s is set by %s alone', (field, policy) => {
  const sets = new RegExp(String.raw`\battempt\.${field} = `);
  const setters = files.filter((file) => sets.test(readFileSync(file, 'utf8')));
  expect(setters.map((file) => file.split('/')[2])).toEqual([policy]);
});

test('what one attempt carries is in no Call: a policy that changes it copies an Attempt', () => {
  const fieldsOf = (file: string, name: string): string[] => {
    const [, body = ''] =
      new RegExp(`(?:interface|class) ${name} \\{([^]*?)\\n\\}`).exec(readFileSync(file, 'utf8')) ?? [];
    return [...body.matchAll(/^  (?:readonly )?(\w+)\??[:;=]/gm)].map(([, field = '']) => field);
  };
  const call = fieldsOf('src/proxy/call.ts', 'Call');
  const attempt = fieldsOf('src/proxy/attempt.ts', 'Attempt');
  expect([call.includes('method'), attempt.includes('signal')]).toEqual([true, true]);
  expect(attempt.filter((field) => call.includes(field))).toEqual([]);
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
