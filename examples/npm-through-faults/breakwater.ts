import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface RunningBreakwater {
  readonly url: string;
  /** Sum of a counter over the series whose labels match. */
  total(metric: string, labels?: RegExp): Promise<number>;
  /** Everything logged so far. */
  readonly log: string;
  stop(): Promise<void>;
}

/** The smallest configuration. Every policy has its default. */
const configFor = (upstreamUrl: string) => `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
upstreams:
  registry:
    url: ${upstreamUrl}
    mount: { path: / }
    allow_private: true
`;

/** Starts Breakwater from source, in a process of its own, in front of one upstream. */
export async function startBreakwater(folder: string, upstreamUrl: string): Promise<RunningBreakwater> {
  const config = join(folder, 'config.yaml');
  writeFileSync(config, configFor(upstreamUrl));
  const main = join(import.meta.dirname, '../../src/main.ts');
  const child = spawn(process.execPath, [main, 'start', '--config', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  const addresses = await new Promise<{ url: string; admin: string }>((resolve, reject) => {
    const look = (chunk: Buffer) => {
      log += chunk.toString();
      const line = log.split('\n').find((text) => text.includes('listening on http'));
      const [, url] = /listening on (http:\/\/[^"\s]+)/.exec(line ?? '') ?? [];
      const [, admin] = /"admin":"(http:[^"]+)"/.exec(line ?? '') ?? [];
      if (url !== undefined && admin !== undefined) resolve({ url, admin });
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.once('exit', (code) => reject(new Error(`Breakwater ended with ${code}:\n${log}`)));
  });
  return {
    url: addresses.url,
    get log() {
      return log;
    },
    total: async (metric, labels = /^/) =>
      sumOf(await (await fetch(`${addresses.admin}/metrics`)).text(), metric, labels),
    stop: () => stopped(child),
  };
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}

function sumOf(exposition: string, metric: string, labels: RegExp): number {
  let sum = 0;
  for (const line of exposition.split('\n')) {
    const [, name, series = '', value] = /^(\w+)(\{.*\})? (\S+)/.exec(line) ?? [];
    if (name === metric && labels.test(series)) sum += Number(value);
  }
  return sum;
}
