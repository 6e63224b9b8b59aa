import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from '../../lib/process.ts';

/** What every contender is told, as far as it can be told: RPB-1's timeouts. */
export const ATTEMPT_TIMEOUT_MS = 1_000;
export const DEADLINE_MS = 8_000;

/** Where a proxy listens, what it forwards to, and a directory of its own. */
export interface Place {
  readonly port: number;
  readonly upstreamPort: number;
  readonly dir: string;
}

/** Sends calls the way an application would. */
export interface Client {
  /** GETs `target` and reads the reply to its end; resolves with its status, rejects if there was none. */
  call(target: string, signal: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

export interface Contender {
  readonly name: string;
  /** Undefined if it is not installed. */
  readonly version: () => string | undefined;
  /** How many attempts a call may have; what could be rescued at best follows from it. */
  readonly attempts: number;
  /** The settings in a line, for the table. */
  readonly settings: string;
  /** A proxy beside the application; without it the contender is a library inside of it. */
  readonly proxy?: (place: Place) => Command | Promise<Command>;
  /** A fresh client, with state of its own, of the upstream or of the proxy. */
  readonly client: (origin: string) => Client;
}

/** The version of an npm package as it is installed here. */
export function packageVersion(name: string): string {
  const path = new URL(`../../../node_modules/${name}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

/** Our own. */
export function packageJsonVersion(): string {
  const path = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

/** The version that a program prints of itself. */
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
