import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { cpuMicros } from '../lib/proc.ts';
import { freePort, start, stopAll } from '../lib/process.ts';
import { table } from '../lib/table.ts';

/* Requests that are handed over by HTTP, all threads of the proxy on one core. bench/README.md says how to read it. */

const CONNECTIONS = 64;
const SECONDS = 5;
const BODY = Buffer.alloc(1_024, 'durable ');

/** A delay that no request reaches during the run, so that none is sent. */
const HEADERS = { prefer: 'respond-async', 'breakwater-delay': '1h', 'content-type': 'text/plain' };

const config = (port: number, admin: number, folder: string) => `
listen: 127.0.0.1:${port}
admin: 127.0.0.1:${admin}
durable: { store: ${join(folder, 'bench.db')}, backlog: 10000000 }
upstreams:
  api: { url: "http://127.0.0.1:9", allow_private: true, durable: true }
`;

function load(port: number, seconds: number): Promise<autocannon.Result> {
  const url = `http://127.0.0.1:${port}/api/jobs`;
  const options = { url, method: 'POST', body: BODY, headers: HEADERS } as const;
  return new Promise((resolve, reject) => {
    autocannon({ ...options, connections: CONNECTIONS, duration: seconds }, (error: unknown, result) =>
      error ? reject(error as Error) : resolve(result),
    );
  });
}

/** Event loop delay since the last scrape. */
async function loopP99Ms(admin: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
  return Number(/^nodejs_eventloop_lag_p99_seconds (\S+)$/m.exec(text)?.[1]) * 1_000;
}

async function measure(folder: string): Promise<string> {
  const [port, admin] = [await freePort(), await freePort()];
  const file = join(folder, 'config.yaml');
  writeFileSync(file, config(port, admin, folder));
  const args = [process.execPath, 'dist/main.js', 'start', '--config', file];
  const pinned = availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0;
  const command = pinned ? ['taskset', '-c', '0', ...args] : args;
  const proxy = await start({ file: command[0] as string, args: command.slice(1) }, port);
  await load(port, 2);
  await loopP99Ms(admin);
  const before = cpuMicros(proxy.pid);
  const { '2xx': accepted, non2xx, duration } = await load(port, SECONDS);
  const spent = cpuMicros(proxy.pid) - before;
  const lag = await loopP99Ms(admin);
  if (non2xx > 0) throw new Error(`${non2xx} were not accepted`);
  return table(
    ['by HTTP', 'measured'],
    [
      ['durable submits per second', (accepted / duration).toFixed(0)],
      ['CPU µs per submit, all threads', (spent / accepted).toFixed(0)],
      ['so a whole core would take, per second', ((1e6 * accepted) / spent).toFixed(0)],
      ['event loop delay meanwhile, p99 ms', lag.toFixed(1)],
    ],
  );
}

const load1 = loadavg()[0] as number;
const folder = mkdtempSync(join(tmpdir(), 'breakwater-bench-'));
try {
  const figures = await measure(folder);
  const machine = `node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? '?'}, load before ${load1.toFixed(1)}`;
  process.stdout.write(`${machine}\n\n${figures}\n`);
} finally {
  await stopAll();
  rmSync(folder, { recursive: true });
}
