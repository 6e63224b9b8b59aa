import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type InputOptions, type OutputOptions, rolldown } from 'rolldown';
import { afterAll, beforeAll, expect, test } from 'vitest';
import config from '../../rolldown.config.ts';
import { run, temporaryFolder } from '../support/command.ts';
import { MISSING, type PostgresServer, startPostgres } from './postgres-server.ts';

let server: PostgresServer | undefined;
let dir: string;
beforeAll(async () => {
  if (MISSING === undefined) server = await startPostgres();
  dir = await bundled();
}, 60_000);
afterAll(async () => {
  rmSync(dirname(dir), { recursive: true });
  await server?.stop();
});

/** Built as by `npm run build`, with an entry point for the test, and without node_modules next to it. */
async function bundled(): Promise<string> {
  const folder = join(mkdtempSync(join(tmpdir(), 'breakwater-bundle-')), 'dist');
  const { output, ...rest } = config as InputOptions & { output: OutputOptions };
  const input = { ...(rest.input as Record<string, string>), store: 'src/durable/store/open.ts' };
  const bundle = await rolldown({ ...rest, input });
  await bundle.write({ ...output, dir: folder });
  await bundle.close();
  return folder;
}

const USE = `
  const { openStore } = await import(process.argv[1]);
  const store = await openStore(process.argv[2]);
  console.log((await store.secret()).length, await store.backlog(), await store.bytes() > 0);
  await store.close();`;

async function use(where: string): Promise<string> {
  const used = run(process.execPath, ['-e', USE, join(dir, 'store.js'), where], { cwd: dir });
  expect(await used.ended()).toBe(0);
  expect(used.err).toBe('');
  return used.out.trim();
}

test('the store and its worker thread work from the bundle', async () =>
  expect(await use(join(temporaryFolder(), 'store.db'))).toBe('64 0 true'));

test.skipIf(MISSING !== undefined)('the PostgreSQL store works from the bundle', async () =>
  expect(await use((await server?.freshUrl()) ?? '')).toBe('64 0 false'),
);
