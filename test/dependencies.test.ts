import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PAGE_LIBRARY } from '../src/admin/page.ts';

interface Manifest {
  readonly workspaces?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

const manifestOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
const { workspaces = [], dependencies = {}, devDependencies = {} } = manifestOf('.');

const IMPORT = /(?:^(?:import|export)\s(?:[^'"]*?\sfrom\s+)?|\bimport\(\s*)'([^']+)'/gm;
const packageOf = (target: string) => target.split('/', target.startsWith('@') ? 2 : 1).join('/');

const targetsIn = (file: string) =>
  [...readFileSync(file, 'utf8').matchAll(IMPORT)].map(([, target = '']) => target);

/** The packages that these files import, types included. */
function packagesIn(files: readonly string[]): readonly string[] {
  const packages = files.flatMap(targetsIn).filter((target) => !target.startsWith('.'));
  return [...new Set(packages.map(packageOf))].filter((name) => !name.startsWith('node:')).toSorted();
}

/** These files, and all that they import. */
function reachedFrom(files: readonly string[]): readonly string[] {
  const reached = new Set(files);
  for (const file of reached) {
    const others = targetsIn(file).filter((target) => /^\..*\.ts$/.test(target));
    for (const other of others.map((target) => join(dirname(file), target)))
      if (existsSync(other)) reached.add(other);
  }
  return [...reached];
}

test('the dependencies are the packages that src/ imports, and the library of the page', () => {
  const library = [...PAGE_LIBRARY.values()].map(packageOf);
  const imported = [...packagesIn(globSync('src/**/*.ts')), ...library];
  expect([...new Set(imported)].toSorted()).toEqual(Object.keys(dependencies).toSorted());
});

test.each(['test', 'examples', 'monitoring'])('`npm ci` installs what %s/ imports', (folder) => {
  const files = globSync(`${folder}/**/*.ts`).filter(
    (file) => !workspaces.some((workspace) => file.startsWith(`${workspace}/`)),
  );
  const declared = new Set(Object.keys({ ...dependencies, ...devDependencies }));
  // test/support/linear-expressions.ts installs it for its own run.
  declared.add('recheck');
  expect(packagesIn(reachedFrom(files)).filter((name) => !declared.has(name))).toEqual([]);
});

/** Without them, vitest.config.ts leaves test/peers out. */
describe.skipIf(!existsSync('node_modules/breakwater-test-peers'))(
  'the tests in test/peers (npm ci --workspaces --include-workspace-root)',
  () => {
    test.each(workspaces)('have the packages of %s', (workspace) => {
      const { devDependencies: wanted = {} } = manifestOf(workspace);
      expect(Object.keys(wanted).filter((name) => !existsSync(join('node_modules', name)))).toEqual([]);
    });
  },
);
