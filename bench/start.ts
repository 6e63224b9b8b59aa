import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { largeConfig, type Size } from './lib/large-config.ts';
import { residentBytes } from './lib/proc.ts';
import { type Command, freePort, start, stopAll } from './lib/process.ts';
import { median } from './lib/stats.ts';
import { table } from './lib/table.ts';

/**
 * Measures what a start costs, in interleaved rounds: `node -e 0`, `breakwater check`, and the time until the bare dispatch proxy
 * and Breakwater listen, with and without a store, for one route and for thousands. Linux only.
 * Usage: node bench/start.ts [--rounds N] [--from-source]
 */
const rounds = Number(process.argv[process.argv.indexOf('--rounds') + 1]) || 11;
const main = process.argv.includes('--from-source') ? 'src/main.ts' : 'dist/main.js';
/** After it, the resident size of a start is read. */
const IDLE_MS = 2_000;

const folder = mkdtempSync(join(tmpdir(), 'bench-start-'));

interface Measured {
  readonly ms: number[];
  readonly bytes: number[];
}

/** Takes one measurement: ms, and bytes of a process that stays. */
type Measure = () => Promise<{ readonly ms: number; readonly bytes?: number }>;

const ran =
  (...args: string[]): Measure =>
  () => {
    const began = performance.now();
    const { status, stderr } = spawnSync(process.execPath, args);
    const ms = performance.now() - began;
    if (status !== 0) throw new Error(`node ${args.join(' ')}: ${stderr.toString()}`);
    return Promise.resolve({ ms });
  };

const listening =
  (command: (port: number) => Command | Promise<Command>): Measure =>
  async () => {
    const port = await freePort();
    const running = await start(await command(port), port);
    await sleep(IDLE_MS);
    const bytes = residentBytes(running.pid);
    await running.stop();
    return { ms: running.listeningMs, bytes };
  };

const bare = listening((port) => ({
  file: process.execPath,
  args: ['bench/peers/bare-dispatch.ts', String(port), '9'],
}));

const breakwater = (size: Size, more = '') =>
  listening(async (listen) => {
    const file = join(folder, `${size.upstreams}.yaml`);
    writeFileSync(file, largeConfig(size, undefined, { listen, admin: await freePort() }) + more);
    return { file: process.execPath, args: [main, 'start', '--config', file] };
  });

const one: Size = { upstreams: 1, routes: 1 };
const many: Size = { upstreams: 300, routes: 10 };
const single = join(folder, 'check.yaml');
writeFileSync(single, largeConfig(one));

const stored = `  stored: { url: "http://127.0.0.1:9", allow_private: true, durable: true }
durable: { store: "${join(folder, 'store.db')}" }
`;

const contenders: Readonly<Record<string, Measure>> = {
  'node -e 0': ran('-e', '0'),
  'breakwater check': ran(main, 'check', '--config', single),
  'bare dispatch': bare,
  'breakwater, 1 × 1': breakwater(one),
  'breakwater, 1 × 1 and a store': breakwater(one, stored),
  'breakwater, 300 × 10': breakwater(many),
};

const figures = new Map<string, Measured>(
  Object.keys(contenders).map((name) => [name, { ms: [], bytes: [] }]),
);
const load = loadavg()[0] as number;
async function measureAll(): Promise<void> {
  for (const [name, measure] of Object.entries(contenders)) {
    const { ms, bytes } = await measure();
    figures.get(name)?.ms.push(ms);
    if (bytes !== undefined) figures.get(name)?.bytes.push(bytes);
  }
}

try {
  for (let round = 0; round < rounds; round++) await measureAll();
} finally {
  await stopAll();
  rmSync(folder, { recursive: true });
}

const rows = [...figures].map(([name, { ms, bytes }]) => [
  name,
  median(ms).toFixed(0),
  Math.min(...ms).toFixed(0),
  bytes.length === 0 ? '' : (median(bytes) / 1e6).toFixed(0),
]);
console.log(`node ${process.version}, ${rounds} rounds, load before ${load.toFixed(1)}\n`);
console.log(table(['start', 'ms, median', 'ms, minimum', 'resident MB'], rows));
