import { setTimeout as sleep } from 'node:timers/promises';
import { Clients, requestText } from '../lib/clients.ts';
import type { Context } from '../lib/context.ts';
import { BREAKWATER, breakwater, type Launched } from '../lib/contenders.ts';
import { postgresMissing, REDIS_MISSING, startRedis, withDatabase } from '../lib/databases.ts';
import { startOrigin } from '../lib/origin.ts';
import { cpuMicros } from '../lib/proc.ts';
import { atMost, type Goal, type Part } from '../lib/report.ts';
import { median, quartiles } from '../lib/stats.ts';

const CONNECTIONS = 32;
const GET = requestText('/1k');
const WARM_UP = 12_000;

/** Time before each round that does not count: a replica knows its rate after a second, and leases by it. */
const COLD_MS = 1_500;
const ROUND_MS = 4_000;

/** A quota that holds no call, at each load. */
const QUOTA = '100000/s';

/** Calls per second. `full`: as fast as 32 connections can. */
const LOADS = ['full', 200, 20] as const;
type Load = (typeof LOADS)[number];

const LOAD_TEXTS: Readonly<Record<Load, string>> = { full: '32 connections', 200: '200/s', 20: '20/s' };

interface Measured {
  readonly name: string;
  readonly proxy: Launched;
}

/** Figures of one proxy at one load. */
interface Figures {
  /** By round. */
  readonly cpu: number[];
  calls: number;
  refused: number;
  roundTrips: number;
}

/** CPU per call with `shared` and without it, and requests to the store. */
export async function fleet(context: Context): Promise<Part> {
  const noPostgres = await postgresMissing();
  const notes = [
    ...(REDIS_MISSING === undefined ? [] : [`Not measured: Redis, ${REDIS_MISSING}.`]),
    ...(noPostgres === undefined ? [] : [`Not measured: PostgreSQL, ${noPostgres}.`]),
    'Without a heartbeat of each replica per second.',
  ];
  const redis = REDIS_MISSING === undefined ? await startRedis(context.tempDir, false) : undefined;
  const stores: [name: string, url: string][] =
    redis === undefined ? [] : [['Redis', `redis://127.0.0.1:${redis.port}`]];
  const run = (all: [name: string, url: string][]) => compared(context, all, notes);
  const part =
    noPostgres === undefined
      ? await withDatabase(`breakwater_bench_${process.pid}_fleet`, (url) =>
          run([...stores, ['PostgreSQL', url]]),
        )
      : await run(stores);
  await redis?.stop();
  return part;
}

async function compared(
  context: Context,
  stores: readonly (readonly [name: string, url: string])[],
  notes: readonly string[],
): Promise<Part> {
  const originPort = await startOrigin();
  const proxies: Measured[] = [];
  for (const [name, url] of [['without shared', undefined], ...stores] as const)
    proxies.push(await launched(context, originPort, name, url));
  for (const { proxy } of proxies) {
    const clients = await Clients.open(proxy.port, CONNECTIONS);
    await clients.send(WARM_UP, () => GET);
    clients.close();
  }
  const [baseline, ...shared] = proxies as [Measured, ...Measured[]];
  const tables = [];
  const goals: Goal[] = [];
  let refused = 0;
  for (const load of LOADS) {
    const rows: string[][] = [];
    for (const one of shared) {
      const [without, found] = await measured(context, [baseline, one], load);
      refused += without.refused + found.refused;
      const ratios = found.cpu.map((micros, round) => micros / (without.cpu[round] ?? NaN));
      if (load === 'full')
        goals.push(
          atMost(`CPU per call, shared on ${one.name} ÷ without`, median(ratios), 1.05, quartiles(ratios)),
        );
      rows.push([
        one.name,
        median(found.cpu).toFixed(1),
        median(without.cpu).toFixed(1),
        median(ratios).toFixed(3),
        quartiles(ratios)
          .map((ratio) => ratio.toFixed(3))
          .join('–'),
        (Math.min(...found.cpu) / Math.min(...without.cpu)).toFixed(3),
        ((1_000 * found.roundTrips) / found.calls).toFixed(1),
      ]);
    }
    tables.push({
      head: [
        LOAD_TEXTS[load],
        'CPU µs per call',
        'without',
        'ratio',
        'quartiles',
        'of minima',
        'requests to the store per 1 000 calls',
      ],
      rows,
    });
  }
  for (const { proxy } of proxies) await proxy.stop();
  return { title: 'A shared quota', tables, goals, notes, failed: refused > 0 };
}

async function launched(
  { fromSource, tempDir }: Context,
  originPort: number,
  name: string,
  store: string | undefined,
): Promise<Measured> {
  const shared = store === undefined ? '' : `shared: { store: "${store}" }`;
  const config = () => `
${shared}
upstreams:
  origin: { url: "http://127.0.0.1:${originPort}", mount: { path: / }, allow_private: true, quota: ${QUOTA} }
`;
  const contender = breakwater(tempDir, { fromSource, config });
  if (contender.missing !== undefined) throw new Error(`${BREAKWATER}: ${contender.missing}`);
  return { name, proxy: await contender.launch(originPort) };
}

/** Both have the same seconds, so that other work on the machine is the same. */
async function measured(
  { quick }: Context,
  pair: readonly [Measured, Measured],
  load: Load,
): Promise<[Figures, Figures]> {
  const figures = [emptyFigures(), emptyFigures()] as [Figures, Figures];
  const one = async ({ proxy }: Measured, found: Figures): Promise<void> => {
    // A proxy closes connections that are idle between rounds.
    const clients = await Clients.open(proxy.port, CONNECTIONS);
    if (load === 'full') clients.keepSending(() => GET, COLD_MS / 2);
    else clients.pace(load, COLD_MS + ROUND_MS, () => GET).catch(() => undefined);
    await sleep(COLD_MS);
    const trips = await roundTrips(proxy);
    const [cpu, completed] = [cpuMicros(proxy.pid), clients.completed];
    await sleep(ROUND_MS);
    const calls = clients.completed - completed;
    found.cpu.push((cpuMicros(proxy.pid) - cpu) / calls);
    found.calls += calls;
    found.refused += clients.refused;
    clients.close();
    found.roundTrips += (await roundTrips(proxy)) - trips;
  };
  for (let round = 0; round < roundsOf(load, quick); round++)
    await Promise.all([one(pair[0], figures[0]), one(pair[1], figures[1])]);
  return figures;
}

const emptyFigures = (): Figures => ({ cpu: [], calls: 0, refused: 0, roundTrips: 0 });

function roundsOf(load: Load, quick: boolean): number {
  if (load === 'full') return quick ? 6 : 16;
  return quick ? 2 : 4;
}

async function roundTrips({ adminPort }: Launched): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return [...text.matchAll(/^breakwater_shared_round_trips_total\{[^}]*\} (\d+)/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
}
