import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { openStore } from '../../src/durable/store/open.ts';
import type { Store } from '../../src/durable/store/store.ts';
import { newJob } from '../../test/durable/jobs.ts';
import { percentile } from '../lib/stats.ts';
import { table } from '../lib/table.ts';

/* Throughput and cost of the embedded store of durable requests. bench/README.md says how to read it. */

const { values: flags } = parseArgs({
  options: { seconds: { type: 'string', default: '5' }, child: { type: 'boolean', default: false } },
});

const LANES = 64;
const BODY = Buffer.alloc(1_024, 'durable ');
const WAITING = 100_000;
const CLAIMS = 2_000;
const FAR = 4_000_000_000_000;
const MB = 1_000_000;

interface Figures {
  readonly submitsPerSecond: number;
  readonly perCommit: number;
  readonly submitP50Ms: number;
  readonly submitP99Ms: number;
  readonly loopP99Ms: number;
  readonly idleMb: number;
  readonly waitingMb: number;
  readonly claimP50Ms: number;
  readonly claimP99Ms: number;
  readonly bytesPerRequest: number;
}

let ids = 0;
const submit = (store: Store, dueAt: number) =>
  store.submit(newJob(`req_${(++ids).toString(36).padStart(26, '0')}`, { body: BODY, dueAt }));

/** `LANES` clients. Each submits its next request as soon as the last one is on disk. */
async function submitFor(store: Store, ms: number, dueAt: number): Promise<readonly number[]> {
  const end = performance.now() + ms;
  const latencies: number[] = [];
  const lane = async () => {
    for (let begunAt = performance.now(); begunAt < end; begunAt = performance.now()) {
      await submit(store, dueAt);
      latencies.push(performance.now() - begunAt);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return latencies;
}

async function measure(folder: string): Promise<Figures> {
  const ms = Number(flags.seconds) * 1_000;
  const commits: number[] = [];
  const busy = await openStore(join(folder, 'busy.db'), { onCommit: (_, batches) => commits.push(batches) });
  await submitFor(busy, 2_000, FAR);
  commits.length = 0;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const latencies = await submitFor(busy, ms, FAR);
  delay.disable();
  await busy.close();
  return {
    submitsPerSecond: (latencies.length * 1_000) / ms,
    perCommit: latencies.length / commits.length,
    submitP50Ms: percentile(latencies, 0.5),
    submitP99Ms: percentile(latencies, 0.99),
    loopP99Ms: delay.percentile(99) / 1e6,
    ...(await waiting(folder)),
  };
}

/** Runs in a separate process, so that earlier work does not slow it down. */
async function waiting(folder: string) {
  const file = join(folder, 'waiting.db');
  const filled = await openStore(file);
  while (ids < 1e7 && (await filled.backlog()) < WAITING)
    await Promise.all(Array.from({ length: 1_000 }, () => submit(filled, FAR)));
  const bytes = (await filled.bytes()) ?? Number.NaN;
  await filled.close();
  const args = ['--expose-gc', import.meta.filename, '--child'];
  const child = spawnSync(process.execPath, args, { env: { ...process.env, STORE: file }, encoding: 'utf8' });
  const figures = JSON.parse(child.stdout) as Pick<
    Figures,
    'idleMb' | 'waitingMb' | 'claimP50Ms' | 'claimP99Ms'
  >;
  return { ...figures, bytesPerRequest: bytes / WAITING };
}

async function waitingChild(file: string): Promise<void> {
  const idleMb = process.memoryUsage.rss() / MB;
  const store = await openStore(file);
  const claims: number[] = [];
  for (let i = 0; i < CLAIMS; i++) {
    const begunAt = performance.now();
    const claimed = await store.claim({
      owner: 'bench',
      now: 1_000_000,
      leaseNow: 1_000_000,
      leaseMs: FAR,
      limit: 50,
    });
    claims.push(performance.now() - begunAt);
    if (claimed.length > 0) throw new Error('nothing is due');
  }
  await store.counts();
  const waitingMb = process.memoryUsage.rss() / MB;
  await store.close();
  const claimP50Ms = percentile(claims, 0.5);
  process.stdout.write(
    JSON.stringify({ idleMb, waitingMb, claimP50Ms, claimP99Ms: percentile(claims, 0.99) }),
  );
}

/** Settings of the store. The other values are information for readers. */
function report(figures: Figures, load: number): string {
  const goal = (what: string, value: number, sign: '≥' | '≤', limit: number) => {
    const met = sign === '≥' ? value >= limit : value <= limit;
    return [what, value.toFixed(limit < 10 ? 3 : 1), `${sign} ${limit}`, met ? 'met' : 'MISSED'];
  };
  const rows = [
    goal('durable submits per second', figures.submitsPerSecond, '≥', 5_000),
    goal('event loop delay meanwhile, p99 ms', figures.loopP99Ms, '≤', 10),
    goal('resident with 100 000 waiting, MB', figures.waitingMb, '≤', 150),
    goal('empty claim among 100 000, p50 ms', figures.claimP50Ms, '≤', 1),
    ['empty claim among 100 000, p99 ms', figures.claimP99Ms.toFixed(3)],
    ['submits that shared a commit', figures.perCommit.toFixed(1)],
    ['submit, p50 ms', figures.submitP50Ms.toFixed(2)],
    ['submit, p99 ms', figures.submitP99Ms.toFixed(2)],
    ['resident before opening the store, MB', figures.idleMb.toFixed(1)],
    ['bytes on disk per waiting request', figures.bytesPerRequest.toFixed(0)],
  ];
  const machine = `node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? '?'}, load before ${load.toFixed(1)}`;
  return `${machine}\n\n${table(['embedded store', 'measured', 'goal', ''], rows)}`;
}

const STORE = process.env['STORE'];
if (flags.child && STORE !== undefined) {
  await waitingChild(STORE);
} else if (availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0) {
  // Puts all threads of this process and its children on one core.
  const args = ['-c', '0', process.execPath, import.meta.filename, '--seconds', flags.seconds];
  process.exitCode = spawnSync('taskset', args, { stdio: 'inherit' }).status ?? 1;
} else {
  const before = loadavg()[0] as number;
  const folder = mkdtempSync(join(tmpdir(), 'breakwater-bench-'));
  try {
    const figures = await measure(folder);
    process.stdout.write(`${report(figures, before)}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
