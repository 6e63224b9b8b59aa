import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run, temporaryFolder } from '../support/command.ts';

/** npm's own time, not ours: it compiles, packs and unpacks. */
const NPM_MS = 180_000;

test('the packed package works in an empty folder', { timeout: NPM_MS }, async () => {
  const folder = temporaryFolder({ 'package.json': '{ "private": true }' });
  const pack = run('npm', ['pack', '--silent', '--pack-destination', folder]);
  if ((await pack.ended()) !== 0) throw new Error(pack.err);
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) as string;
  const install = run(
    'npm',
    ['install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, tarball)],
    { cwd: folder },
  );
  if ((await install.ended()) !== 0) throw new Error(install.err);

  const installed = join(folder, 'node_modules', 'breakwater');
  expect(existsSync(join(installed, 'src'))).toBe(false);
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const command = join(folder, 'node_modules', '.bin', 'breakwater');
  const printed = run(process.execPath, [command, '--version'], { cwd: folder });
  expect(await printed.ended()).toBe(0);
  expect(printed.out.trim()).toBe(version);

  const shipped = readFileSync(join(installed, 'config.yaml'), 'utf8');
  const free = temporaryFolder({
    'config.yaml': `listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n${shipped.replace(/^(listen|admin):.*$/gm, '')}`,
  });
  const proxy = run(process.execPath, [command, 'start', '--config', join(free, 'config.yaml')], {
    cwd: folder,
  });
  const [, url = ''] = await proxy.untilPrinted(/listening on (http:[^"]+)/);
  expect((await fetch(`${url}/no-such-mount`)).status).toBe(404);
  proxy.child.kill('SIGTERM');
  expect(await proxy.ended()).toBe(0);
});
