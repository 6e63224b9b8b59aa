import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run, temporaryFolder } from '../support/command.ts';

/** Time for npm, which compiles, packs and unpacks. */
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
  const [, schema = ''] = shipped.match(/\$schema=(\S+)/) ?? [];
  expect(readFileSync(join(installed, schema), 'utf8')).toBe(readFileSync('config.schema.json', 'utf8'));
  const ownPorts = 'listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n';
  const free = temporaryFolder({
    'config.yaml': `${ownPorts}${shipped.replace(/^(listen|admin):.*$/gm, '')}`,
    'durable.yaml': `${ownPorts}upstreams: { api: { url: 'http://127.0.0.1:1', allow_private: true, durable: { mode: on } } }`,
  });
  const proxy = run(process.execPath, [command, 'start', '--config', join(free, 'config.yaml')], {
    cwd: folder,
  });
  const [, url = ''] = await proxy.untilPrinted(/listening on (http:[^"]+)/);
  expect((await fetch(`${url}/no-such-mount`)).status).toBe(404);
  // The files of the page are next to the bundle.
  const [, admin = ''] = proxy.out.match(/"admin":"(http:[^"]+)"/) ?? [];
  let bytes = 0;
  for (const name of [
    '',
    ...['icon.svg', 'main.js', 'page.css', 'uplot.css', 'uplot.js'].map((one) => `dashboard/${one}`),
  ]) {
    const page = await fetch(`${admin}/${name}`);
    expect([name, page.status]).toEqual([name, 200]);
    bytes += (await page.arrayBuffer()).byteLength;
  }
  expect(bytes).toBeLessThan(150_000);
  // So is the thread that reads the configuration again.
  appendFileSync(join(free, 'config.yaml'), '\nresponse_headers: false\n');
  proxy.child.kill('SIGHUP');
  await proxy.untilPrinted(/configuration reloaded/);
  proxy.child.kill('SIGTERM');
  expect(await proxy.ended()).toBe(0);
  // Code is cached in the package itself, not where other users can write.
  expect(readdirSync(join(installed, 'dist', '.compile-cache'))).toHaveLength(1);

  // The durable store's thread is a file of its own.
  const durable = run(process.execPath, [command, 'start', '--config', join(free, 'durable.yaml')], {
    cwd: folder,
  });
  const [, app = ''] = await durable.untilPrinted(/listening on (http:[^"]+)/);
  const accepted = await fetch(`${app}/api/order`, { headers: { prefer: 'respond-async' } });
  expect(accepted.status).toBe(202);
  expect(existsSync(join(free, 'breakwater.db'))).toBe(true);
  durable.child.kill('SIGTERM');
  expect(await durable.ended()).toBe(0);
});
