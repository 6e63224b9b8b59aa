import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Clients, requestText } from '../lib/clients.ts';
import type { Context } from '../lib/context.ts';
import { breakwater } from '../lib/contenders.ts';
import { postgresMissing, REDIS_MISSING, startRedis, withDatabase } from '../lib/databases.ts';
import { originStats, startOrigin } from '../lib/origin.ts';
import { PEERS_MISSING } from '../lib/peers.ts';
import { cpuMicros } from '../lib/proc.ts';
import { output } from '../lib/process.ts';
import { atLeast, type Part } from '../lib/report.ts';
import { median } from '../lib/stats.ts';

/** Calls that run at once, in every contender. */
const AT_ONCE = 64;
const BODY = 'abcdefghijklmnop'.repeat(64);
const OURS = ['Breakwater, SQLite', 'Breakwater, PostgreSQL'] as const;

/** One round of a contender. */
interface Work {
  readonly perSecond: number;
  /** Of its own process, without the database. */
  readonly cpuMicros: number;
}

interface Worker {
  readonly name: string;
  readonly missing: string | undefined;
  /** Stores `count` calls, then carries them out: claim, POST 1 KiB, result of 1 KiB durably stored. */
  run(count: number): Promise<Work>;
}

/** Durable calls carried out per second, of Breakwater and of job queues that make the same call and keep its result. */
export async function durableWork(context: Context): Promise<Part> {
  const count = context.calls ?? (context.quick ? 4_000 : 20_000);
  const originPort = await startOrigin();
  const all = (await workers(context, originPort)).filter(
    ({ name }) =>
      context.only === undefined || context.only.some((wanted) => name.toLowerCase().includes(wanted)),
  );
  const present = all.filter(({ missing }) => missing === undefined);
  const results = new Map(present.map(({ name }): [string, Work[]] => [name, []]));
  for (let round = 0; round < (context.rounds ?? (context.quick ? 2 : 4)); round++) {
    const turn = round % present.length;
    for (const one of [...present.slice(turn), ...present.slice(0, turn)])
      results.get(one.name)?.push(await one.run(count));
  }
  const rate = (name: string): number => median((results.get(name) ?? []).map(({ perSecond }) => perSecond));
  const peers = [...results.keys()].filter((name) => !OURS.some((ours) => ours === name));
  return {
    title: 'Durable work done',
    tables: [
      {
        head: ['claim, POST 1 KiB, result on disk', 'per second', 'best', 'CPU µs per call'],
        rows: [...results]
          .toSorted(([a], [b]) => rate(b) - rate(a))
          .map(([name, rounds]) => [
            name,
            rate(name).toFixed(0),
            Math.max(...rounds.map(({ perSecond }) => perSecond)).toFixed(0),
            median(rounds.map((work) => work.cpuMicros)).toFixed(0),
          ]),
      },
    ],
    goals: OURS.filter((ours) => results.has(ours)).flatMap((ours) =>
      peers.map((peer) => atLeast(`durable work, ${ours}, × ${peer}`, rate(ours) / rate(peer), 1)),
    ),
    notes: [
      `${count} calls a round, ${AT_ONCE} at once. CPU of the process that calls, without the database server.`,
      ...all.flatMap(({ name, missing }) =>
        missing === undefined ? [] : [`Not measured: ${name}, ${missing}.`],
      ),
    ],
  };
}

async function workers(context: Context, originPort: number): Promise<Worker[]> {
  const noPostgres = await postgresMissing();
  let databases = 0;
  const fresh = <T>(work: (url: string) => Promise<T>): Promise<T> =>
    withDatabase(`breakwater_bench_${process.pid}_${++databases}`, work);
  const peer = async (file: string, count: number, connection: string): Promise<Work> => {
    const script = fileURLToPath(new URL(`../peers/${file}.ts`, import.meta.url));
    const args = [script, String(count), String(originPort), connection];
    const printed = await output({ file: process.execPath, args });
    const { ms, cpuMicros: cpu } = JSON.parse(printed.trim().split('\n').at(-1) ?? '') as {
      ms: number;
      cpuMicros: number;
    };
    return { perSecond: (count / ms) * 1_000, cpuMicros: cpu / count };
  };
  const onPostgres = (name: string): Worker => ({
    name,
    missing: PEERS_MISSING ?? noPostgres,
    run: (count) => fresh((url) => peer(name, count, url)),
  });
  const { missing } = breakwater(context.tempDir, context);
  const [sqlite, postgres] = OURS;
  return [
    { name: sqlite, missing, run: (count) => ourWork(context, originPort, count) },
    {
      name: postgres,
      missing: missing ?? noPostgres,
      run: (count) => fresh((url) => ourWork(context, originPort, count, url)),
    },
    onPostgres('pg-boss'),
    onPostgres('graphile-worker'),
    {
      name: 'BullMQ',
      missing: PEERS_MISSING ?? REDIS_MISSING,
      run: async (count) => {
        const redis = await startRedis(context.tempDir, true);
        const work = await peer('bullmq', count, String(redis.port));
        await redis.stop();
        return work;
      },
    },
  ];
}

/** Submits that show how long the others will take. They are not due in this run. */
const PROBES = 500;
const POLL_MS = 20;

/** All calls are due at the same time, after the last one has been stored. */
async function ourWork(
  { tempDir, fromSource }: Context,
  originPort: number,
  count: number,
  store?: string,
): Promise<Work> {
  const proxy = await breakwater(tempDir, {
    fromSource,
    config: ({ dir }) => `
durable: { store: "${store ?? join(dir, 'work.db')}" }
upstreams:
  api: { url: "http://127.0.0.1:${originPort}", allow_private: true, durable: { concurrency: ${AT_ONCE} } }
`,
  }).launch(originPort);
  const submit = (delay: string): string =>
    requestText('/api/1k', {
      method: 'POST',
      body: BODY,
      headers: { 'content-type': 'text/plain', prefer: 'respond-async', 'breakwater-delay': delay },
    });
  const clients = await Clients.open(proxy.port, AT_ONCE);
  const begunAt = performance.now();
  await clients.send(PROBES, () => submit('1h'));
  const probesMs = performance.now() - begunAt;
  const dueAt = performance.now() + probesMs * (count / PROBES) + 2_000;
  await clients.send(count, () => submit(`${Math.max(1, Math.round(dueAt - performance.now()))}ms`));
  clients.close();
  if (clients.refused > 0) throw new Error(`${clients.refused} calls were not accepted`);
  if (performance.now() > dueAt)
    throw new Error('the calls could not be stored in time; the machine is too busy');
  // Both are read before the calls are due, because some of them may be carried out before a reply to this arrives.
  const { requests } = await originStats(originPort);
  const cpu = cpuMicros(proxy.pid);
  await sleep(dueAt - performance.now());
  while ((await originStats(originPort)).requests < requests + count) await sleep(POLL_MS);
  while ((await succeeded(proxy.adminPort)) < count) await sleep(POLL_MS);
  const perSecond = (count / (performance.now() - dueAt)) * 1_000;
  const work = { perSecond, cpuMicros: (cpuMicros(proxy.pid) - cpu) / count };
  await proxy.stop();
  return work;
}

/** Requests whose result is stored. */
async function succeeded(adminPort: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return Number(/^breakwater_durable_time_to_done_seconds_count\{[^}]*\} (\d+)/m.exec(text)?.[1] ?? 0);
}
