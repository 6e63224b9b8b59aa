/**
 * `npm run bench:fleet [-- --only three,clocks] [--store redis,postgres] [--from-source]`: processes that share a quota, on a Redis and a
 * PostgreSQL of their own, while something happens to them. Ends with 1 if the limit was exceeded or a store was not used again.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { postgresMissing, query, REDIS_MISSING, startRedis, withDatabase } from '../lib/databases.ts';
import { type EngineLink, linkTo } from '../lib/engine-link.ts';
import { killAll, stopAll } from '../lib/process.ts';
import { table } from '../lib/table.ts';
import { CountingUpstream, mostIn, Replica } from './replicas.ts';

const SECOND_MS = 1_000;

/** The first calls of a process run code that is not compiled yet. Those of this time are not counted. */
const WARM_UP_MS = 2_000;

/** 100 calls a second, and the burst of 5. */
const PER_SECOND = { quota: '100/s', most: 105 };

const THREE = [80, 60, 20];
const TWENTY = Array.from({ length: 20 }, () => 5);

/** A store, and the way to make it lose its data. */
interface Store {
  readonly name: string;
  readonly url: string;
  readonly flush: () => Promise<void>;
}

/** The parts of a case that is running. */
interface Scene {
  readonly store: Store;
  readonly link: EngineLink;
  readonly replicas: readonly Replica[];
  readonly restart: (index: number) => Promise<void>;
}

interface Case {
  readonly id: string;
  readonly name: string;
  readonly loads: readonly number[];
  readonly ms: number;
  /** The least used share of the quota. */
  readonly used: number;
  /** Milliseconds that each wall clock is off. */
  readonly shifts?: readonly number[];
  /** Happens while calls are offered, after two seconds. */
  readonly trouble?: (scene: Scene) => Promise<void>;
}

const CASES: readonly Case[] = [
  { id: 'three', name: '3 replicas, 80 + 60 + 20/s', loads: THREE, ms: 10_000, used: 0.95 },
  { id: 'twenty', name: '20 replicas, 5/s each', loads: TWENTY, ms: 10_000, used: 0.9 },
  {
    id: 'clocks',
    name: 'wall clocks ten minutes apart',
    loads: THREE,
    ms: 8_000,
    used: 0.95,
    shifts: [-600_000, 0, 600_000],
  },
  {
    id: 'kill',
    name: 'one is killed (SIGKILL) and started again',
    loads: THREE,
    ms: 10_000,
    used: 0.7,
    trouble: async ({ replicas, restart }) => {
      replicas[1]?.signal('SIGKILL');
      await restart(1);
    },
  },
  {
    id: 'stop',
    name: 'one is stopped (SIGSTOP) for 4 s',
    loads: THREE,
    ms: 10_000,
    used: 0.85,
    trouble: async ({ replicas }) => {
      replicas[0]?.signal('SIGSTOP');
      await sleep(4_000);
      replicas[0]?.signal('SIGCONT');
    },
  },
  {
    id: 'cut',
    name: 'the store is gone for 4 s',
    loads: THREE,
    ms: 10_000,
    used: 0.85,
    trouble: async ({ link }) => {
      link.cut();
      await sleep(4_000);
      link.restore();
    },
  },
  {
    id: 'slow',
    name: 'the store takes 500 ms for 4 s',
    loads: THREE,
    ms: 10_000,
    used: 0.85,
    trouble: async ({ link }) => {
      link.delayMs = 500;
      await sleep(4_000);
      link.delayMs = 0;
    },
  },
  {
    id: 'flush',
    name: 'the store loses its data',
    loads: THREE,
    ms: 10_000,
    used: 0.85,
    trouble: ({ store }) => store.flush(),
  },
];

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    store: { type: 'string', default: 'redis,postgres' },
    'from-source': { type: 'boolean', default: false },
  },
});
const tempDir = mkdtempSync(join(tmpdir(), 'breakwater-fleet-'));
process.once('exit', () => {
  killAll();
  rmSync(tempDir, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

const HEAD = [
  'case',
  'store',
  'most in a second',
  'used',
  'used again after',
  'longest call, ms',
  'states in /api/state',
  '',
];
const rows: string[][] = [];
let fleets = 0;

/** Starts the replicas of a case, offers their calls, and notes what they show. */
async function measured(one: Case, store: Store): Promise<void> {
  const upstream = await CountingUpstream.start();
  const link = await linkTo(store.url);
  const name = `bench${process.pid}-${++fleets}`;
  const plan = { store: link.url, name, quota: PER_SECOND.quota, tempDir, fromSource: values['from-source'] };
  const { length } = one.loads;
  const start = (index: number) => Replica.start(plan, upstream, length, one.shifts?.[index] ?? 0);
  const replicas: Replica[] = [];
  for (const index of one.loads.keys()) replicas.push(await start(index));
  const watch = new Watch(replicas);
  await watch.untilAllUsed(length);
  // Processes that start together on few cores hold each other up, so that their calls arrive late and together.
  await Promise.all(replicas.map((replica, index) => replica.offer(one.loads[index] ?? 0, WARM_UP_MS)));
  await watch.untilAllUsed(length);
  const begun = performance.now();
  const until = begun + one.ms;
  const offered = one.loads.map((load, index) => replicas[index]?.offer(load, one.ms));
  const watching = watch.run(until);
  await sleep(2_000);
  let backMs = 0;
  if (one.trouble !== undefined) {
    const restart = async (index: number): Promise<void> => {
      replicas[index] = await start(index);
      offered.push(replicas[index].offer(one.loads[index] ?? 0, Math.max(0, until - performance.now())));
    };
    await one.trouble({ store, link, replicas, restart });
    const over = performance.now();
    await watch.untilAllUsed(length);
    backMs = performance.now() - over;
  }
  await Promise.all([...offered, watching]);
  await Promise.all(replicas.map((replica) => replica.stop()));
  link.close();
  const seen = (await upstream.stop()).filter((at) => at >= begun);
  const most = mostIn(seen, SECOND_MS);
  const used = seen.filter((at) => at < until).length / ((one.ms / SECOND_MS) * 100);
  const inAll = seen.length;
  const allowed = PER_SECOND.most + ((seen.at(-1) ?? begun) - begun) / 10;
  const holds = most <= PER_SECOND.most && inAll <= allowed && used >= one.used && backMs <= 5_000;
  if (!holds) process.exitCode = 1;
  rows.push([
    one.name,
    store.name,
    `${most} (≤ ${PER_SECOND.most})`,
    `${(100 * used).toFixed(1)} % (≥ ${100 * one.used} %)`,
    one.trouble === undefined ? '' : `${(backMs / 1_000).toFixed(1)} s (≤ 5 s)`,
    String(Math.round(Math.max(...replicas.map(({ longestMs }) => longestMs)))),
    [...watch.seen].join(', '),
    holds ? 'holds' : 'MISSED',
  ]);
}

/** How often the state of each replica is read. */
const LOOK_MS = 100;

/** The states that replicas show. */
class Watch {
  readonly seen = new Set<string>();
  readonly #replicas: readonly Replica[];

  constructor(replicas: readonly Replica[]) {
    this.#replicas = replicas;
  }

  async run(until: number): Promise<void> {
    while (performance.now() < until) {
      await Promise.all(this.#replicas.map((replica) => this.#look(replica).catch(() => undefined)));
      await sleep(LOOK_MS);
    }
  }

  /** Each uses the store and knows of `count` replicas. */
  async untilAllUsed(count: number): Promise<void> {
    const isUsed = async (replica: Replica): Promise<boolean> => {
      const { replicas, used } = await replica.state();
      return used && replicas >= count;
    };
    for (;;) {
      const all = await Promise.all(this.#replicas.map((replica) => isUsed(replica).catch(() => false)));
      if (all.every(Boolean)) return;
      await sleep(20);
    }
  }

  async #look(replica: Replica): Promise<void> {
    const { away, used } = await replica.state();
    this.seen.add(used ? 'used' : (away ?? 'away'));
  }
}

/** 1000/h over a restart of all: units that were used stay used. */
async function restarted(store: Store): Promise<void> {
  const upstream = await CountingUpstream.start();
  const name = `bench${process.pid}-${++fleets}`;
  const plan = { store: store.url, name, quota: '1000/h', tempDir, fromSource: values['from-source'] };
  const begun = performance.now();
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const replicas = await Promise.all([0, 1, 2].map(() => Replica.start(plan, upstream, 3)));
    await Promise.all(replicas.map((replica) => replica.offer(100, 2_000)));
    for (const replica of replicas) replica.signal(signal);
    await Promise.all(replicas.map((replica) => replica.stop()));
  }
  const last = await Promise.all([0, 1, 2].map(() => Replica.start(plan, upstream, 3)));
  await Promise.all(last.map((replica) => replica.offer(100, 2_000)));
  await Promise.all(last.map((replica) => replica.stop()));
  const count = (await upstream.stop()).length;
  const refilled = Math.ceil((performance.now() - begun) / 3_600);
  const most = 999 + refilled;
  const holds = count <= most && count >= 900;
  if (!holds) process.exitCode = 1;
  rows.push([
    '1000/h over two restarts of all, SIGTERM and SIGKILL, 1 800 offered',
    store.name,
    `${count} in all (≤ ${most})`,
    '',
    '',
    '',
    '',
    holds ? 'holds' : 'MISSED',
  ]);
}

async function onStore(store: Store): Promise<void> {
  const only = values.only?.split(',');
  for (const one of CASES) {
    if (only !== undefined && !only.includes(one.id)) continue;
    process.stderr.write(`${store.name}: ${one.name} …\n`);
    await measured(one, store);
  }
  if (only === undefined || only.includes('hourly')) await restarted(store);
}

/** Redis has `FLUSHALL` for it. */
const FLUSH = `TRUNCATE breakwater_fleet_window, breakwater_fleet_replica, breakwater_fleet_generation, breakwater_fleet_fact`;

const stores = values.store.split(',');
if (stores.includes('redis')) {
  if (REDIS_MISSING !== undefined) console.log(`Not measured: Redis, ${REDIS_MISSING}.`);
  else {
    const redis = await startRedis(tempDir, false);
    await onStore({ name: 'Redis', url: `redis://127.0.0.1:${redis.port}`, flush: () => redis.flush() });
    await redis.stop();
  }
}
if (stores.includes('postgres')) {
  const missing = await postgresMissing();
  if (missing !== undefined) console.log(`Not measured: ${missing}.`);
  else
    await withDatabase(`breakwater_fleet_${process.pid}`, (url) =>
      onStore({ name: 'PostgreSQL', url, flush: () => query(FLUSH, url) }),
    );
}
await stopAll();
console.log(table(HEAD, rows));
