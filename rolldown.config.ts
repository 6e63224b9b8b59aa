import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { defineConfig, type Plugin, rolldown } from 'rolldown';
import { PAGE_LIBRARY } from './src/admin/page.ts';

/**
 * `npm run build`: the command as a few files without dependencies. Against one file per module with node_modules beside
 * it, a start takes half the CPU and 15 MB less. Names are kept, so that stack traces can be read.
 */
export default defineConfig({
  // Threads are loaded by the names of their files.
  input: {
    main: 'src/main.ts',
    'inspect-worker': 'src/cli/inspect-worker.ts',
    'load-worker': 'src/config/load-worker.ts',
    'sqlite-worker': 'src/durable/store/sqlite-worker.ts',
  },
  platform: 'node',
  output: {
    dir: 'dist',
    format: 'esm',
    cleanDir: true,
    minify: {
      mangle: { keepNames: true },
      compress: { keepNames: { function: true, class: true } },
      codegen: true,
    },
  },
  // zod brings its messages in fifty languages; the config's are our own.
  treeshake: { moduleSideEffects: [{ test: /node_modules\/zod\//, sideEffects: false }] },
  plugins: [ascii(), licences(), dashboard()],
});

/** One character beyond Latin-1 makes V8 keep the whole file as two bytes a character: 1.5 MB more in all. */
function ascii(): Plugin {
  return {
    name: 'ascii',
    generateBundle(_options, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type === 'chunk') file.code = file.code.replaceAll(/[\u0080-\uffff]/g, escaped);
      }
    },
  };
}

const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** The scripts of the page become one, and its chart library goes along. */
function dashboard(): Plugin {
  const folder = 'src/admin/dashboard';
  return {
    name: 'dashboard',
    async generateBundle() {
      const emit = (name: string, source: string) =>
        this.emitFile({ type: 'asset', fileName: `dashboard/${name}`, source });
      for (const name of readdirSync(folder).filter((entry) => /\.(html|css|svg)$/.test(entry)))
        emit(name, readFileSync(join(folder, name), 'utf8'));
      for (const [name, file] of PAGE_LIBRARY) emit(name, readFileSync(join('node_modules', file), 'utf8'));
      await using page = await rolldown({ input: join(folder, 'main.js'), platform: 'browser' });
      const { output } = await page.generate({ format: 'esm', minify: true });
      emit('main.js', output[0].code);
    },
  };
}

/** The licences of what is bundled go with the bundle. */
function licences(): Plugin {
  return {
    name: 'licences',
    generateBundle(_options, bundle) {
      const modules = Object.values(bundle).flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
      const folders = new Set(
        [...modules, ...libraries()].map(packageFolder).filter((folder) => folder !== undefined),
      );
      const texts = [...folders].sort().map(licenceOf);
      this.emitFile({ type: 'asset', fileName: 'THIRD-PARTY-LICENSES.txt', source: texts.join('\n\n') });
    },
  };
}

const libraries = () => [...PAGE_LIBRARY.values()].map((file) => resolve('node_modules', file));

function packageFolder(module: string): string | undefined {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(module)?.[0];
}

function licenceOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license: string;
  };
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text =
    file !== undefined && existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8') : '';
  return `${name} ${version} (${license})\n\n${text.trim()}`;
}
