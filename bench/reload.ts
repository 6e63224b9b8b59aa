import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Change, largeConfig, type Size } from './lib/large-config.ts';

/**
 * Measures what a reload costs the calls of the proxy: the longest stall of its event loop, for configurations of several sizes.
 * Usage: node bench/reload.ts [--from-source]
 */
const SIZES: readonly Size[] = [
  { upstreams: 1, routes: 1 },
  { upstreams: 50, routes: 10 },
  { upstreams: 300, routes: 10 },
];
const ROUNDS = 5;
const PORTS = 'listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n';

const CHANGES: Readonly<Record<string, (round: number) => Change>> = {
  nothing: () => ({ attempts: 3, firstTotal: 30 }),
  'one route': (round) => ({ attempts: 3, firstTotal: 31 + round }),
  'every route': (round) => ({ attempts: 4 + (round % 2), firstTotal: 30 }),
};

/** In ms: by the clock, and of CPU time. */
interface Stall {
  readonly wall: number;
  readonly cpu: number;
}

class Proxy {
  readonly child: ChildProcess;
  #admin = '';
  #answer: (stall: Stall) => void = () => {};

  constructor(config: string) {
    const main = process.argv.includes('--from-source') ? 'src/main.ts' : 'dist/main.js';
    const args = ['--import', './bench/lib/stalls.ts', main, 'start', '--config', config];
    this.child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** Resolves when it listens. */
  async started(): Promise<void> {
    const { stdout, stderr } = this.child;
    if (stdout === null || stderr === null) throw new Error('no pipes');
    createInterface(stderr).on('line', (line) => {
      const found = /^stall ([\d.]+) ([\d.]+)$/.exec(line);
      if (found === null) process.stderr.write(`${line}\n`);
      else this.#answer({ wall: Number(found[1]), cpu: Number(found[2]) });
    });
    await new Promise<void>((resolve, reject) => {
      this.child.once('exit', (code) => reject(new Error(`the proxy ended with code ${code}`)));
      createInterface(stdout).on('line', (line) => {
        const admin = /"admin":"([^"]+)"/.exec(line)?.[1];
        if (admin === undefined) return;
        this.#admin = admin;
        resolve();
      });
    });
  }

  async reload(): Promise<void> {
    const reply = await fetch(`${this.#admin}/api/reload`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    if (!reply.ok) throw new Error(`reload: ${reply.status} ${await reply.text()}`);
    await reply.arrayBuffer();
  }

  async scrape(): Promise<void> {
    const reply = await fetch(`${this.#admin}/metrics`);
    if (!reply.ok) throw new Error(`/metrics: ${reply.status}`);
    await reply.arrayBuffer();
  }

  /** The longest stall since the last question, in ms. */
  stall(): Promise<Stall> {
    const answer = new Promise<Stall>((resolve) => (this.#answer = resolve));
    this.child.kill('SIGUSR2');
    return answer;
  }

  residentMb(): number {
    const kb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.child.pid}/status`, 'utf8'))?.[1];
    return (Number(kb) * 1024) / 1e6;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await ended;
  }
}

const pause = (ms: number) => new Promise((resolve) => void setTimeout(resolve, ms));
const shown = (stalls: readonly Stall[]): string => {
  const of = (kind: keyof Stall) => {
    const values = stalls.map((stall) => stall[kind]);
    return `${median(values)} (worst ${Math.max(...values)})`;
  };
  return `${of('cpu')} ms of CPU, ${of('wall')} ms by the clock`;
};
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

async function reloads(proxy: Proxy, file: string, size: Size): Promise<void> {
  for (const [name, change] of Object.entries(CHANGES)) {
    const stalls: Stall[] = [];
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      writeFileSync(file, PORTS + largeConfig(size, change(round)));
      await proxy.stall();
      const start = performance.now();
      await proxy.reload();
      times.push(performance.now() - start);
      stalls.push(await proxy.stall());
    }
    console.log(
      `  reload, ${name} changed: longest stall ${shown(stalls)}; done after ${median(times).toFixed(0)} ms`,
    );
  }
}

async function scrapes(proxy: Proxy): Promise<void> {
  const stalls: Stall[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await proxy.stall();
    await proxy.scrape();
    stalls.push(await proxy.stall());
  }
  console.log(`  /metrics: longest stall ${shown(stalls)}`);
}

async function measure(folder: string, size: Size): Promise<void> {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, PORTS + largeConfig(size));
  const began = performance.now();
  const proxy = new Proxy(file);
  try {
    await proxy.started();
    const listening = performance.now() - began;
    await pause(2_000);
    const start = `listening after ${listening.toFixed(0)} ms, ${proxy.residentMb().toFixed(0)} MB resident`;
    console.log(`${size.upstreams} × ${size.routes}: ${start}`);
    await proxy.stall();
    await pause(1_000);
    console.log(`  nothing, for 1 s: longest stall ${shown([await proxy.stall()])}`);
    await scrapes(proxy);
    await reloads(proxy, file, size);
    await pause(2_000);
    console.log(`  ${proxy.residentMb().toFixed(0)} MB resident after the reloads`);
  } finally {
    await proxy.stop();
  }
}

const folder = await mkdtemp(join(tmpdir(), 'bench-reload-'));
try {
  for (const size of SIZES) await measure(folder, size);
} finally {
  await rm(folder, { recursive: true });
}
