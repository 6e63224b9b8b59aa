import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** Our own version, from the package.json that this file belongs to. */
export function packageVersion(): string {
  const file = findPackageJSON(import.meta.url);
  if (file === undefined) return 'unknown';
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return version;
}

/** `v26.10.0` */
export const nodeVersion: string = process.version;

/** `3.53.4`: the SQLite that this node was built with. */
export const sqliteVersion: string = process.versions['sqlite'] ?? '0';
