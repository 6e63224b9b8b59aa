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
  config: ['http', 'policies', 'proxy'],
  admin: ['proxy', 'config', 'metrics', 'runtime', 'http'],
  cli: ['app', 'config', 'policies', 'proxy', 'runtime'],
  app: ['runtime', 'http', 'proxy', 'policies', 'upstream', 'metrics', 'config', 'admin'],
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
};

/** `config` sees what policies are set to, never what they do. */
const TYPES_ONLY: Readonly<Record<string, readonly string[]>> = { config: ['policies', 'proxy'] };

/** The one place that knows all policies: it puts them in order. */
const ORDER = 'src/policies/order.ts';

const IMPORT =
  /^(import|export)\s(type\s)?(?:[^'"]*?\sfrom\s+)?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/gm;
const folderOf = (file: string) => (relative('src', file).split('/')[0] ?? '').replace(/\.ts$/, '');

const packageOf = (target: string) => target.split('/', target.startsWith('@') ? 2 : 1).join('/');

const files = globSync('src/**/*.ts');

test('there is something to check', () => expect(files.length).toBeGreaterThan(20));

for (const file of files) {
  const folder = folderOf(file);
  test(`${file} keeps to the import table`, () => {
    for (const [, , type, fixed, dynamic] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
      const target = fixed ?? dynamic ?? '';
      if (target.startsWith('.')) {
        const path = join(dirname(file), target);
        const other = folderOf(path);
        if (path.startsWith('examples/')) expect(folder, target).toBe('cli');
        else if (other !== folder) {
          expect(MAY_IMPORT[folder], `${file} imports ${target}`).toContain(other);
          if (TYPES_ONLY[folder]?.includes(other))
            expect(type, `${file} imports ${target}: types only`).toBeDefined();
        } else if (folder === 'policies' && file !== ORDER) {
          expect(relative('src', path).split('/')[1], `${file}: policies never import each other`).toBe(
            relative('src', file).split('/')[1],
          );
        }
      } else if (OWNER[packageOf(target)] !== undefined) {
        expect(OWNER[packageOf(target)], `${file} imports ${target}`).toContain(folder);
      } else {
        expect(target.startsWith('node:'), `${file} imports ${target}, which has no owner`).toBe(true);
      }
    }
  });
}
