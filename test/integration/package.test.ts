import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { run, temporaryFolder } from '../support/command.ts';
import { brokenLinks, pages } from '../support/markdown.ts';

/** Time for npm, which compiles, packs and unpacks. */
const NPM_MS = 180_000;

test('the packed package works in an empty folder, without another package', {
  timeout: NPM_MS,
}, async () => {
  const folder = temporaryFolder({ 'package.json': '{ "private": true }' });
  const pack = run('npm', ['pack', '--silent', '--pack-destination', folder]);
  if ((await pack.ended()) !== 0) throw new Error(pack.err);
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) as string;
  const installed = join(folder, 'node_modules', 'breakwater');
  mkdirSync(installed, { recursive: true });
  const unpack = run('tar', ['-xzf', join(folder, tarball), '--strip-components=1', '-C', installed]);
  if ((await unpack.ended()) !== 0) throw new Error(unpack.err);

  expect(existsSync(join(installed, 'src'))).toBe(false);
  const shippedPages = pages(installed, ['docs']).filter((page) => basename(page) !== 'CONTRIBUTING.md');
  expect(shippedPages.length).toBeGreaterThan(20);
  expect(shippedPages.flatMap((page) => brokenLinks(page).map((link) => [page, link]))).toEqual([]);
  expect(componentsOf(join(installed, 'dist', 'sbom.cdx.json'))).toEqual(lockedPackages());
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const command = join(installed, 'dist', 'main.js');
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
    // Not the cache of the tests.
    env: { NODE_COMPILE_CACHE: undefined },
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

/** The packages that an SBOM lists, as name@version. */
function componentsOf(sbom: string): string[] {
  const { components } = JSON.parse(readFileSync(sbom, 'utf8')) as { components: { 'bom-ref': string }[] };
  return components.map((component) => component['bom-ref']).toSorted();
}

interface LockedPackage {
  readonly version: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly link?: boolean;
}

/** The packages that `npm ci --omit dev` installs, as name@version. */
function lockedPackages(): string[] {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  const installed = Object.entries(packages).filter(
    ([path, { dev = false, devOptional = false }]) =>
      path.startsWith('node_modules/') && !dev && !devOptional && !packages[path]?.link,
  );
  return installed
    .map(([path, { version }]) => `${path.split('node_modules/').at(-1)}@${version}`)
    .toSorted();
}
