import { existsSync } from 'node:fs';

/** The reason why contenders of bench/peers cannot take part; undefined if their packages are installed. */
export const PEERS_MISSING = existsSync(new URL('../peers/node_modules', import.meta.url))
  ? undefined
  : 'its packages are missing; install them with npm ci --prefix bench/peers';

/**
 * Imports a file of bench/peers. The import is dynamic, because the packages and their types may be missing. Throws if they are.
 */
export async function importPeer(name: string): Promise<unknown> {
  if (PEERS_MISSING !== undefined) throw new Error(`bench/peers/${name}.ts: ${PEERS_MISSING}`);
  return await import(new URL(`../peers/${name}.ts`, import.meta.url).href);
}
