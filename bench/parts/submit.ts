import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Clients, requestText } from '../lib/clients.ts';
import type { Context } from '../lib/context.ts';
import { breakwater, type Launched } from '../lib/contenders.ts';
import { originStats, startOrigin } from '../lib/origin.ts';
import { cpuMicros } from '../lib/proc.ts';
import { atMost, type Part, shown } from '../lib/report.ts';
import { median, quartiles } from '../lib/stats.ts';

const CONNECTIONS = 64;
const BODY = 'abcdefghijklmnop'.repeat(64);
const POST = { method: 'POST', body: BODY, headers: { 'content-type': 'text/plain' } };
/** A delay that no request reaches during the run, so that none is sent. */
const SUBMIT = {
  ...POST,
  headers: { ...POST.headers, prefer: 'respond-async', 'breakwater-delay': '1h' },
};
const SATURATION_SHARE = 0.7;
/** The metric of the event loop is the time between two samples, so an idle loop has this much (`EVENT_LOOP_SAMPLE_MS`). */
const LOOP_SAMPLE_MS = 20;

const KINDS = {
  'proxied GET': () => requestText('/plain/1k'),
  'cache hit': () => requestText('/cached/1k'),
  'proxied POST': () => requestText('/plain/1k', POST),
  'durable submit': () => requestText('/durable/1k', SUBMIT),
};
type Kind = keyof typeof KINDS;

/** CPU of a cache hit and of a durable submit, and the event loop's delay at 70 % of the submits that saturate it. */
export async function cacheAndSubmit(context: Context): Promise<Part> {
  const originPort = await startOrigin();
  const contender = breakwater(context.tempDir, {
    fromSource: context.fromSource,
    config: ({ dir }) => config(originPort, dir),
  });
  if (contender.missing !== undefined) throw new Error(contender.missing);
  const proxy = await contender.launch(originPort);
  const cpu = await cpuByKind(context, proxy, originPort);
  const ratios = (of: Kind, to: Kind): number[] =>
    cpu[of].map((micros, round) => micros / (cpu[to][round] ?? NaN));
  const hits = ratios('cache hit', 'proxied GET');
  const submits = ratios('durable submit', 'proxied POST');
  const { perSecond, offered, loopP99Ms, idleP99Ms, leftOut } = await eventLoopDelay(context, proxy);
  const row = (what: Kind): string[] => [
    what,
    shown(median(cpu[what])),
    shown(Math.min(...cpu[what])),
    what === 'cache hit' ? shown(median(hits)) : what === 'durable submit' ? shown(median(submits)) : '',
  ];
  return {
    title: 'Cache hits and durable submits by HTTP',
    tables: [
      {
        head: ['1 KiB', 'CPU µs', 'minimum', '× proxied'],
        rows: (Object.keys(KINDS) as Kind[]).map(row),
      },
      {
        head: ['durable submits, each on disk before its 202', 'measured'],
        rows: [
          ['per second, saturated', perSecond.toFixed(0)],
          [`per second at ${SATURATION_SHARE * 100} %`, offered.toFixed(0)],
          ['event loop delay meanwhile, p99 ms', loopP99Ms.toFixed(1)],
          ['event loop delay without load, p99 ms', idleP99Ms.toFixed(1)],
        ],
      },
    ],
    goals: [
      atMost('CPU of a cache hit, × a proxied call', median(hits), 0.5, quartiles(hits)),
      atMost('CPU of a durable submit, × a proxied POST', median(submits), 1.8, quartiles(submits)),
      atMost(`event loop delay at ${SATURATION_SHARE * 100} % of saturation, p99 ms`, loopP99Ms, 10),
    ],
    notes: leftOut > 0 ? [`${leftOut} submits found no free connection and were left out.`] : [],
  };
}

function config(originPort: number, dir: string): string {
  const url = `http://127.0.0.1:${originPort}`;
  return `
durable: { store: ${join(dir, 'bench.db')}, backlog: 10000000 }
upstreams:
  plain: { url: "${url}", allow_private: true }
  cached: { url: "${url}", allow_private: true, cache: { ttl: 1h, override: true } }
  durable: { url: "${url}", allow_private: true, durable: true }
`;
}

/** In µs per request, by round. All kinds meet the same process, in turn. */
async function cpuByKind(
  { quick }: Context,
  proxy: Launched,
  originPort: number,
): Promise<Record<Kind, number[]>> {
  const clients = await Clients.open(proxy.port, CONNECTIONS);
  const kinds = Object.keys(KINDS) as Kind[];
  const cpu: Record<Kind, number[]> = {
    'proxied GET': [],
    'cache hit': [],
    'proxied POST': [],
    'durable submit': [],
  };
  for (const kind of kinds) await clients.send(quick ? 5_000 : 12_000, KINDS[kind]);
  for (let round = 0; round < (quick ? 6 : 12); round++) {
    const turn = round % kinds.length;
    for (const kind of [...kinds.slice(turn), ...kinds.slice(0, turn)]) {
      const count = quick ? 1_000 : 2_000;
      const { requests } = await originStats(originPort);
      const before = cpuMicros(proxy.pid);
      await clients.send(count, KINDS[kind]);
      cpu[kind].push((cpuMicros(proxy.pid) - before) / count);
      const sent = (await originStats(originPort)).requests - requests;
      const expected = kind.startsWith('proxied') ? count : 0;
      if (sent !== expected) throw new Error(`${kind}: the origin got ${sent} requests, not ${expected}`);
    }
  }
  if (clients.refused > 0) throw new Error(`${clients.refused} replies were not 2xx`);
  clients.close();
  return cpu;
}

interface Delay {
  /** Submits, saturated. */
  readonly perSecond: number;
  readonly offered: number;
  readonly loopP99Ms: number;
  readonly idleP99Ms: number;
  readonly leftOut: number;
}

async function eventLoopDelay({ quick }: Context, { port, adminPort }: Launched): Promise<Delay> {
  const saturating = await Clients.open(port, CONNECTIONS);
  const count = quick ? 4_000 : 12_000;
  const begunAt = performance.now();
  await saturating.send(count, KINDS['durable submit']);
  const perSecond = (count / (performance.now() - begunAt)) * 1_000;
  saturating.close();
  const offered = perSecond * SATURATION_SHARE;
  const ms = quick ? 4_000 : 10_000;
  // More connections than are needed, so that a slow reply delays no other request.
  const clients = await Clients.open(port, 4 * CONNECTIONS);
  await loopP99Ms(adminPort);
  await sleep(ms / 2);
  const idleP99Ms = await loopP99Ms(adminPort);
  const { leftOut } = await clients.pace(offered, ms, KINDS['durable submit']);
  const measured = await loopP99Ms(adminPort);
  clients.close();
  return { perSecond, offered, loopP99Ms: measured, idleP99Ms, leftOut };
}

/** Event loop delay since the last scrape, in addition to the time between two samples. */
async function loopP99Ms(adminPort: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  const betweenMs = Number(/^nodejs_eventloop_lag_p99_seconds (\S+)$/m.exec(text)?.[1]) * 1_000;
  return Math.max(0, betweenMs - LOOP_SAMPLE_MS);
}
