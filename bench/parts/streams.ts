import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../lib/context.ts';
import { BARE, BREAKWATER, bare, breakwater, type Contender, type Launched } from '../lib/contenders.ts';
import { startApi } from '../lib/origin.ts';
import { portkey } from '../lib/portkey.ts';
import { cpuMicros, residentBytes } from '../lib/proc.ts';
import { atMost, type Goal, type Part, shown } from '../lib/report.ts';
import { median, percentile } from '../lib/stats.ts';
import { Client, type Streamed, type Target } from '../streams/client.ts';
import type { Pace } from '../streams/request.ts';

const DIRECT = 'no proxy';
const STREAM_OFF = `${BREAKWATER}, stream off`;
const STREAM_ON = `${BREAKWATER}, stream on`;

/** As onthebench.ai paces its streams. */
const PACED: Pace = { events: 64, intervalMs: 20 };
const SHORT: Pace = { events: 1, intervalMs: 1 };
const ALONE: Pace = { events: 16, intervalMs: 20 };
/** Sends its first event, and nothing more while the memory is measured. */
const OPEN: Pace = { events: 2, intervalMs: 600_000 };

/** Streams at the same time. */
const STREAMS = 512;
/** Streams begin one after the other, so that their events do not all fall into the same moment. */
const BEGIN_WITHIN_MS = 250;
/** An event that takes longer from the API to the client is late. */
const LATE_MS = 20;

/** After the measurement of a target at real-time priority. */
const REST_MS = 2_000;

const SHORT_STREAMS = 200;
const ALONE_STREAMS = 6;
/** Open streams in the measurement of memory. */
const OPEN_STREAMS = 2_048;

/** Breakwater's goals, from onthebench.ai and its own design. */
const ADDED_MS = 1;
const KB_PER_STREAM = 60;

/** One target in one round. */
interface Sample {
  readonly name: string;
  /** Time to the first event, one stream at a time, ms. */
  readonly first: Percentiles;
  /** From the API to the client, one stream at a time, ms. */
  readonly alone: Percentiles;
  /** The same with all streams. */
  readonly together: Percentiles;
  readonly lost: number;
  readonly late: number;
  /** CPU of the proxy for each event with all streams; undefined without a proxy. */
  readonly cpuMicros: number | undefined;
}

interface Percentiles {
  readonly p50: number;
  readonly p99: number;
}

type Proxy = Target & Launched;

/** Paced streams as LLM APIs send them: delay of their events, lost events, and memory of open streams. */
export async function streams(context: Context): Promise<Part> {
  const origin = await startApi('paced-origin');
  pin(origin.pid, 1);
  pin(process.pid, 1);
  const { proxies, absent } = await launched(context, origin.port);
  const memory = new Map<string, number>();
  for (const proxy of proxies) {
    await verify(proxy);
    memory.set(proxy.name, await kbPerStream(proxy));
  }
  const targets: (Target | Proxy)[] = [{ name: DIRECT, port: origin.port }, ...proxies];
  const samples: Sample[] = [];
  const rounds = context.quick ? 2 : 6;
  for (let round = 0; round < rounds; round++) {
    context.progress(`round ${round + 1} of ${rounds}`);
    const turn = round % targets.length;
    for (const target of [...targets.slice(turn), ...targets.slice(0, turn)]) {
      const pids = [origin.pid, process.pid, ...('pid' in target ? [Number(target.pid)] : [])];
      samples.push(await (context.realtime ? atRealtime(pids, () => sample(target)) : sample(target)));
    }
  }
  const rows = summarize(samples, memory);
  return {
    title: 'Streams',
    tables: [tableOf(rows)],
    goals: goalsOf(rows),
    notes: [
      `${rounds} rounds; ${STREAMS} streams of ${PACED.events} events at ${PACED.intervalMs} ms each; late is more than ${LATE_MS} ms.`,
      PINNED ? 'Each proxy had one core.' : 'The proxies were not pinned to cores.',
      ...(context.realtime ? ['Measured at real-time priority.'] : []),
      ...absent,
    ],
  };
}

/** Each proxy has one core alone; client and API share the other. */
const PINNED = availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0;
function pin(pid: number, core: 0 | 1): void {
  if (PINNED) spawnSync('taskset', ['-apc', String(core), String(pid)]);
}

/** Between two targets, the rest of the machine gets a turn. */
async function atRealtime<T>(pids: readonly number[], work: () => Promise<T>): Promise<T> {
  const set = (policy: '--rr' | '--other', priority: '1' | '0') => {
    for (const pid of pids) {
      const args = ['--all-tasks', policy, '--pid', priority, String(pid)];
      const { status, stderr } = spawnSync('chrt', args, { encoding: 'utf8' });
      if (status !== 0) throw new Error(`--realtime: ${stderr}`);
    }
  };
  set('--rr', '1');
  try {
    return await work();
  } finally {
    set('--other', '0');
    await sleep(REST_MS);
  }
}

/** Memory is compared after a collection of the heap, which is asked for by a signal. */
const nodeArgs = ['--expose-gc', '--import', new URL('../lib/collect.ts', import.meta.url).href];

async function launched({ tempDir, fromSource }: Context, originPort: number) {
  const ours = (name: string, stream: string): Contender => ({
    ...breakwater(tempDir, { fromSource, nodeArgs, config: () => configOf(originPort, stream) }),
    name,
  });
  const all = [
    bare(tempDir, { nodeArgs }),
    ours(STREAM_OFF, ''),
    ours(STREAM_ON, STREAM_RULES),
    portkey(tempDir, { nodeArgs }),
  ];
  const proxies: Proxy[] = [];
  for (const contender of all) {
    if (contender.missing !== undefined) continue;
    const running = await contender.launch(originPort);
    pin(running.pid, 0);
    proxies.push({ name: contender.name, ...running });
  }
  const absent = all.flatMap(({ name, missing }) =>
    missing === undefined ? [] : [`Not measured: ${name}, ${missing}.`],
  );
  return { proxies, absent };
}

const configOf = (originPort: number, stream: string) => `upstreams:
  origin:
    url: http://127.0.0.1:${originPort}
    mount: { path: / }
    allow_private: true
${stream}`;

const STREAM_RULES = `    stream:
      first_event: 30s
      event_gap: 60s
      ignore: [ping]
      error: [{ event: error, status: 502 }, { body: { /error: "*" }, status: 502 }]
      done: [{ data: "[DONE]" }]
`;

/** Throws unless the target passes a whole stream on, because a broken stream can be fast. */
async function verify(target: Target): Promise<void> {
  const client = new Client(target);
  const { lost } = await client.stream({ events: 8, intervalMs: 1 });
  client.close();
  if (lost > 0) throw new Error(`${target.name} lost ${lost} of 8 events`);
}

async function sample(target: Target | Proxy): Promise<Sample> {
  const client = new Client(target);
  const short = await inTurn(client, SHORT, SHORT_STREAMS);
  const alone = await inTurn(client, ALONE, ALONE_STREAMS);
  client.close();
  const clients = Array.from({ length: STREAMS }, () => new Client(target));
  // The first wave opens the connections on both sides.
  await wave(clients, SHORT);
  const cpuBefore = 'pid' in target ? cpuMicros(target.pid) : 0;
  const together = await wave(clients, PACED);
  const cpu = 'pid' in target ? cpuMicros(target.pid) - cpuBefore : undefined;
  for (const one of clients) one.close();
  const delays = together.flatMap(({ delaysMs }) => delaysMs);
  return {
    name: target.name,
    first: percentiles(short.map(({ firstMs }) => firstMs)),
    alone: percentiles(alone.flatMap(({ delaysMs }) => delaysMs)),
    together: percentiles(delays),
    lost: [...short, ...alone, ...together].reduce((sum, { lost }) => sum + lost, 0),
    late: delays.filter((ms) => ms > LATE_MS).length,
    cpuMicros: cpu === undefined ? undefined : cpu / delays.length,
  };
}

const percentiles = (values: readonly number[]): Percentiles => ({
  p50: percentile(values, 0.5),
  p99: percentile(values, 0.99),
});

async function inTurn(client: Client, pace: Pace, count: number): Promise<Streamed[]> {
  const done: Streamed[] = [];
  for (let i = 0; i < count; i++) done.push(await client.stream(pace));
  return done;
}

async function wave(clients: readonly Client[], pace: Pace): Promise<Streamed[]> {
  const running: Promise<Streamed>[] = [];
  const startedAt = performance.now();
  for (const [i, client] of clients.entries()) {
    const due = startedAt + (i * BEGIN_WITHIN_MS) / clients.length;
    if (due > performance.now() + 1) await sleep(due - performance.now());
    running.push(client.stream(pace));
  }
  return Promise.all(running);
}

/** Resident KB that one more open stream takes, where many are open, after collections of the heap. */
async function kbPerStream(proxy: Proxy): Promise<number> {
  const clients = Array.from({ length: OPEN_STREAMS }, () => new Client(proxy));
  for (const client of clients.slice(0, STREAMS)) await client.open(OPEN);
  const before = await collected(proxy.pid);
  for (const client of clients.slice(STREAMS)) await client.open(OPEN);
  const after = await collected(proxy.pid);
  for (const client of clients) client.close();
  return (after - before) / 1_000 / (OPEN_STREAMS - STREAMS);
}

/** The last of some collections finds the objects that the first ones have made free. */
async function collected(pid: number): Promise<number> {
  for (let i = 0; i < 3; i++) {
    process.kill(pid, 'SIGUSR2');
    await sleep(300);
  }
  return residentBytes(pid);
}

/** All rounds of one target. */
interface Row {
  readonly name: string;
  /** Minus the same without a proxy in the same round; by round, ms. */
  readonly addedFirst: readonly Percentiles[];
  readonly addedAlone: readonly Percentiles[];
  /** Medians over the rounds. */
  readonly together: Percentiles;
  readonly cpuMicros: number;
  readonly lost: number;
  readonly late: number;
  readonly kb: number | undefined;
}

function summarize(samples: readonly Sample[], memory: ReadonlyMap<string, number>): Row[] {
  const direct = samples.filter(({ name }) => name === DIRECT);
  const added = (group: readonly Sample[], of: 'first' | 'alone') =>
    group.map((one, round) => ({
      p50: one[of].p50 - (direct[round]?.[of].p50 ?? NaN),
      p99: one[of].p99 - (direct[round]?.[of].p99 ?? NaN),
    }));
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  return [...Map.groupBy(samples, ({ name }) => name)].map(([name, group]) => ({
    name,
    addedFirst: added(group, 'first'),
    addedAlone: added(group, 'alone'),
    together: middle(group.map(({ together }) => together)),
    cpuMicros: median(group.map(({ cpuMicros: cpu }) => cpu ?? NaN)),
    lost: sum(group.map(({ lost }) => lost)),
    late: sum(group.map(({ late }) => late)),
    kb: memory.get(name),
  }));
}

const middle = (rounds: readonly Percentiles[]): Percentiles => ({
  p50: median(rounds.map(({ p50 }) => p50)),
  p99: median(rounds.map(({ p99 }) => p99)),
});

function tableOf(rows: readonly Row[]) {
  return {
    head: [
      'ms; + is more than without a proxy',
      'first event +p50',
      '+p99',
      'one stream, event +p50',
      '+p99',
      `${STREAMS} streams, event p50`,
      'p99',
      'lost',
      'late',
      'CPU µs an event',
      'KB a stream',
    ],
    rows: rows.map((row) => [
      row.name,
      ...[middle(row.addedFirst), middle(row.addedAlone), row.together].flatMap(({ p50, p99 }) => [
        p50.toFixed(2),
        p99.toFixed(2),
      ]),
      String(row.lost),
      String(row.late),
      row.kb === undefined ? '' : shown(row.cpuMicros),
      row.kb === undefined ? '' : shown(row.kb),
    ]),
  };
}

function goalsOf(rows: readonly Row[]): Goal[] {
  const [ours, base, direct] = [STREAM_ON, BARE, DIRECT].map((name) => rows.find((row) => row.name === name));
  if (ours === undefined || base === undefined || direct === undefined) return [];
  const first = ours.addedFirst.map(({ p99 }) => p99);
  const more = ours.addedAlone.map(({ p99 }, round) => p99 - (base.addedAlone[round]?.p99 ?? NaN));
  const quartiles = (values: readonly number[]) => [percentile(values, 0.25), percentile(values, 0.75)];
  return [
    atMost('first event: p99, ms more than without a proxy', median(first), ADDED_MS, quartiles(first)),
    atMost(`one stream, event: p99, ms more than ${BARE}`, median(more), ADDED_MS, quartiles(more)),
    // A machine on which events are late without a proxy cannot show that a proxy delays none.
    atMost(
      `${STREAMS} streams: lost or late events`,
      ours.lost + ours.late,
      0,
      direct.lost + direct.late > 0 ? [0] : [],
    ),
    atMost('KB an open stream', ours.kb ?? NaN, KB_PER_STREAM),
  ];
}
