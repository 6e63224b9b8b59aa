import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from '../../lib/process.ts';

/** The timeouts of RPB-1, for every contender that has such settings. */
export const ATTEMPT_TIMEOUT_MS = 1_000;
export const DEADLINE_MS = 8_000;

/** The ports of a proxy and its upstream, and a directory for its files. */
export interface Place {
  readonly port: number;
  readonly upstreamPort: number;
  /** Of each target of the upstream; that of the upstream if it has none. */
  readonly upstreamPorts: readonly number[];
  readonly dir: string;
}

/** Sends calls the way an application would. */
export interface Client {
  /** GETs `target` and reads the whole reply. Resolves with its status, rejects if there was none. */
  call(target: string, signal: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

export interface Contender {
  readonly name: string;
  /** Undefined if it is not installed. */
  readonly version: () => string | undefined;
  /** Attempts per call. The best possible rescue follows from it. */
  readonly attempts: number;
  /** The settings in one line, for the table. */
  readonly settings: string;
  /** The proxy; without it, the contender is a library in the application. */
  readonly proxy?: (place: Place) => Command | Promise<Command>;
  /** Creates a client with its own state, for the upstream or the proxy. */
  readonly client: (origin: string) => Client;
}

/** The installed version of an npm package, of the project or of bench/peers. */
export function packageVersion(name: string, of: 'project' | 'peers' = 'project'): string {
  const root = of === 'project' ? '../../..' : '../../peers';
  const path = new URL(`${root}/node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

/** The version of Breakwater. */
export function packageJsonVersion(): string {
  const path = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

/** The version that a program prints. */
export function programVersion(file: string, args: readonly string[]): string | undefined {
  try {
    const printed = execFileSync('/bin/sh', ['-c', 'exec "$0" "$@" 2>&1', file, ...args], {
      encoding: 'utf8',
    });
    return /\d+\.\d+(?:\.\d+)?/.exec(printed)?.[0];
  } catch {
    return undefined;
  }
}

export function written(dir: string, name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}
