import { execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The registry in the npm configuration of this machine, and its trusted certificates. */
export function configuredRegistry(): { readonly url: URL; readonly ca: readonly string[] } {
  const file = npmConfig('cafile');
  return { url: new URL(npmConfig('registry')), ca: file === 'null' ? [] : [readFileSync(file, 'utf8')] };
}

function npmConfig(key: string): string {
  return execFileSync('npm', ['config', 'get', key], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();
}

/** Runs `npm install` in `folder` with its own cache. Resolves with the exit code and the output. */
export function npmInstall(
  folder: string,
  packageName: string,
  registry: string,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const options = [
    `--registry=${registry}`,
    // The metadata names the registry's host for tarballs. They must use the proxy too.
    '--replace-registry-host=always',
    `--cache=${join(folder, '.npm-cache')}`,
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--no-update-notifier',
  ];
  const child = spawn('npm', ['install', packageName, ...options], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}

/** Packages in node_modules, at any depth. */
export function packagesIn(folder: string): number {
  const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')) as { packages: object };
  const locked = Object.keys(lock.packages).filter((path) => path !== '');
  return locked.filter((path) => readdirSync(join(folder, path)).includes('package.json')).length;
}
