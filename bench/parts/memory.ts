import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Clients, requestText } from '../lib/clients.ts';
import type { Context } from '../lib/context.ts';
import { BARE, BREAKWATER, bare, breakwater, type Contender } from '../lib/contenders.ts';
import { originStats, startOrigin } from '../lib/origin.ts';
import { residentBytes } from '../lib/proc.ts';
import { atMost, type Part } from '../lib/report.ts';
import { type Started, startAll } from '../lib/startup.ts';

const MB = 1e6;
const CONNECTIONS = 32;
const IDLE_CLIENTS = 10_000;
/** How many clients send at once while 10,000 connect. */
const FEW = 32;
const SETTLE_MS = 5_000;
const GET = requestText('/1k');

/** Resident memory at the start, under load and after it, with many idle clients, and bytes per call that waits. */
export async function memory(context: Context): Promise<Part> {
  const { quick, tempDir, fromSource } = context;
  const originPort = await startOrigin();
  const pair = [bare(tempDir), breakwater(tempDir, { fromSource })];
  const missing = pair.find((one) => one.missing !== undefined)?.missing;
  if (missing !== undefined) throw new Error(missing);
  const started = await startAll(pair, originPort);
  await sleep(SETTLE_MS);
  const atStart = residentMb(started);
  const [loadMs, afterMs] = quick ? [15_000, 15_000] : [60_000, 60_000];
  context.progress(`load for ${loadMs / 1_000} s`);
  const refused = await loadAll(started, loadMs);
  const loaded = residentMb(started);
  const afterLoad = sleep(afterMs);
  context.progress(`${IDLE_CLIENTS} idle clients, and calls that wait`);
  const idle = await withIdleClients(pair, originPort);
  const waiting = await waitingCalls(context, originPort, quick ? 500 : 2_000);
  await afterLoad;
  const later = residentMb(started);
  const ours = (of: ReadonlyMap<string, number>): number => of.get(BREAKWATER) ?? NaN;
  const name = `${loadMs / 1_000} s of load on ${CONNECTIONS} connections`;
  return {
    title: 'Memory',
    tables: [
      {
        head: ['resident, MB', BREAKWATER, BARE],
        rows: [
          ['5 s after the start', ...both(atStart)],
          [`after ${name}`, ...both(loaded)],
          [`${afterMs / 1_000} s later`, ...both(later)],
          [`${IDLE_CLIENTS} idle keep-alive clients`, ...both(idle)],
        ],
      },
      {
        head: ['heap and buffers, bytes', 'measured'],
        rows: waiting.map(({ what, bytes }) => [what, bytes.toFixed(0)]),
      },
    ],
    goals: [
      atMost('resident 5 s after the start, MB', ours(atStart), 65),
      atMost(`resident after ${name}, MB`, ours(loaded), 120),
      atMost(`resident ${afterMs / 1_000} s later, MB`, ours(later), 100),
      atMost(`resident with ${IDLE_CLIENTS} idle clients, MB`, ours(idle), 150),
      ...waiting.slice(1).map(({ what, bytes }) => atMost(`${what}, bytes`, bytes, 8_192)),
    ],
    notes: [],
    failed: refused > 0,
  };
}

function residentMb(started: readonly Started[]): Map<string, number> {
  return new Map(started.map(({ name, running }) => [name, residentBytes(running.pid) / MB]));
}

function both(values: ReadonlyMap<string, number>): string[] {
  return [BREAKWATER, BARE].map((name) => (values.get(name) ?? NaN).toFixed(0));
}

/** Loads all at the same time, each on its own connections. Returns the number of replies that were not 2xx. */
async function loadAll(started: readonly Started[], ms: number): Promise<number> {
  const all = await Promise.all(started.map(({ running }) => Clients.open(running.port, CONNECTIONS)));
  for (const clients of all) clients.keepSending(() => GET, 100);
  await sleep(ms);
  for (const clients of all) clients.close();
  return all.reduce((sum, { refused }) => sum + refused, 0);
}

/** Each client has had one reply. One proxy after another, because this process may not open 20,000 files. */
async function withIdleClients(
  contenders: readonly Contender[],
  originPort: number,
): Promise<Map<string, number>> {
  const resident = new Map<string, number>();
  for (const one of contenders) {
    const running = await one.launch(originPort);
    const clients = await Clients.open(running.port, IDLE_CLIENTS);
    await clients.each(() => GET, FEW);
    await sleep(SETTLE_MS);
    resident.set(one.name, residentBytes(running.pid) / MB);
    clients.close();
    await running.stop();
  }
  return resident;
}

interface Waiting {
  readonly what: string;
  readonly bytes: number;
}

/** Bytes of an idle connection, and what a call on it adds while it waits for its second attempt, or for its turn. */
async function waitingCalls(
  { tempDir, fromSource }: Context,
  originPort: number,
  count: number,
): Promise<Waiting[]> {
  const file = join(tempDir, 'heap');
  const contender = breakwater(tempDir, {
    fromSource,
    nodeArgs: ['--expose-gc', '--import', fileURLToPath(new URL('../lib/heap.ts', import.meta.url))],
    env: { HEAP_FILE: file },
    config: () => waitingConfig(originPort),
  });
  const proxy = await contender.launch(originPort);
  const heap = (): Promise<number> => heapBytes(proxy.pid, file);
  // Warms up, so that compiled code does not count.
  const first = await Clients.open(proxy.port, FEW);
  await first.send(5_000, () => requestText('/backoff/1k'));
  await first.send(5_000, () => requestText('/queue/1k'));
  first.close();
  const none = await heap();
  const kinds = { backoff: '/backoff/1k?status=503', queue: '/queue/1k?delay=120000' };
  const results: Waiting[] = [];
  for (const [kind, path] of Object.entries(kinds)) {
    const clients = await Clients.open(proxy.port, count);
    await clients.each(() => requestText(`/${kind}/1k`), FEW);
    await sleep(SETTLE_MS);
    const idle = await heap();
    if (kind === 'backoff') results.push({ what: 'idle client connection', bytes: (idle - none) / count });
    const { requests, open: othersOpen } = await originStats(originPort);
    clients.each(() => requestText(path)).catch(() => undefined);
    while (kind === 'backoff' && (await originStats(originPort)).requests < requests + count) await sleep(20);
    // Until the proxy has closed the connections of the first attempts. That of this query is open, too.
    for (let waits = 0; kind === 'backoff' && waits < 300; waits++) {
      if ((await originStats(originPort)).open <= othersOpen) break;
      await sleep(100);
    }
    await sleep(1_000);
    results.push({ what: `call that waits in ${kind}`, bytes: ((await heap()) - idle) / count });
    if (clients.refused > 0) throw new Error(`${clients.refused} calls did not wait in ${kind}`);
    clients.close();
    await sleep(1_000);
  }
  await proxy.stop();
  return results;
}

function waitingConfig(originPort: number): string {
  return `
defaults: { breaker: { mode: off }, quota: { mode: off } }
upstreams:
  backoff:
    url: http://127.0.0.1:${originPort}
    allow_private: true
    concurrency: { mode: off }
    retry:
      backoff: { kind: constant, base: 2m, overloaded_base: 2m, max: 2m, jitter: none }
      budget: { cap: 100000 }
  queue:
    url: http://127.0.0.1:${originPort}
    allow_private: true
    hedge: off
    concurrency: { mode: fixed, max: 1, queue: 100000, wait: 5m }
`;
}

async function heapBytes(pid: number, file: string): Promise<number> {
  rmSync(file, { force: true });
  process.kill(pid, 'SIGUSR2');
  while (!existsSync(file)) await sleep(20);
  return Number(readFileSync(file, 'utf8'));
}
