import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, constants } from 'node:os';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../lib/context.ts';
import { fixedWorkMs, isFast } from '../lib/core-speed.ts';
import { BARE, BREAKWATER, bare, breakwater, type Contender, type Launched } from '../lib/contenders.ts';
import { startApi } from '../lib/origin.ts';
import { portkey } from '../lib/portkey.ts';
import { cpuMicros, residentBytes } from '../lib/proc.ts';
import { atMost, type Goal, type Part, shown } from '../lib/report.ts';
import { median, percentile } from '../lib/stats.ts';
import { Client, requestFor, type Streamed, type Target } from '../streams/client.ts';
import type { Pace } from '../streams/request.ts';

const DIRECT = 'no proxy';
const STREAM_OFF = `${BREAKWATER}, stream off`;
const STREAM_ON = `${BREAKWATER}, stream on`;

/** As onthebench.ai paces its streams. */
const PACED: Pace = { events: 64, intervalMs: 20 };
const SHORT: Pace = { events: 1, intervalMs: 1 };
/** All these streams are open at the same time, so that a proxy opens a connection for each. */
const OPENING: Pace = { events: 2, intervalMs: 500 };
const ALONE: Pace = { events: 16, intervalMs: 20 };
/** Sends its first event, and nothing more while the memory is measured. */
const OPEN: Pace = { events: 2, intervalMs: 600_000 };

/** Streams at the same time. */
const STREAMS = 512;
/** Streams begin one after the other, so that their events do not all fall into the same moment. */
const BEGIN_WITHIN_MS = 250;
/** Of the client, between two turns in which it reads. */
const SLEEP_MS = 1;
const NOBODY_WAKES = new Int32Array(new SharedArrayBuffer(4));
/** An event that takes longer from the API to the client is late. */
const LATE_MS = 20;

/** Waves straight to the API before the measurement, so that V8 has compiled client and API. */
const WARM_UP_WAVES = 6;

const SHORT_STREAMS = 1_000;
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
  /** The longest time by which the API was late with an event, ms. */
  readonly apiLateMs: number;
  /** CPU of the proxy for each event with all streams; undefined without a proxy. */
  readonly cpuMicros: number | undefined;
  /** Of fixed work on the core of the proxies, before and after all streams, ms. */
  readonly workMs: readonly number[];
}

/** All streams at the same time. */
type Wave = Pick<Sample, 'together' | 'lost' | 'late' | 'apiLateMs' | 'cpuMicros' | 'workMs'>;

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
  if (context.priority) goFirst();
  const direct: Target = { name: DIRECT, port: origin.port };
  context.progress('warm-up of client and API');
  await withClients(direct, async (clients) => {
    for (let i = 0; i < WARM_UP_WAVES; i++) await together(direct, clients, PACED);
  });
  for (const proxy of proxies) freeze(proxy);
  const cold = new Map<string, Wave>();
  for (const proxy of proxies) {
    context.progress(proxy.name);
    cold.set(
      proxy.name,
      await thawed(proxy, async () => {
        await verify(proxy);
        return wave(proxy);
      }),
    );
  }
  const targets: (Target | Proxy)[] = [direct, ...proxies];
  const samples: Sample[] = [];
  const rounds = context.quick ? 2 : 6;
  for (let round = 0; round < rounds; round++) {
    context.progress(`round ${round + 1} of ${rounds}`);
    const turn = round % targets.length;
    for (const target of [...targets.slice(turn), ...targets.slice(0, turn)])
      samples.push(await thawed(target, () => sample(target)));
  }
  // Comes last, because a collection of the heap that is asked for drops compiled code.
  const memory = new Map<string, number>();
  for (const proxy of proxies) memory.set(proxy.name, await thawed(proxy, () => kbPerStream(proxy)));
  // A stopped process does not end when it is asked to.
  for (const { pid } of proxies) process.kill(pid, 'SIGCONT');
  const rows = summarize(samples, cold, memory);
  return {
    title: 'Streams',
    tables: [tableOf(rows)],
    goals: goalsOf(rows),
    notes: [
      `${rounds} rounds; ${STREAMS} streams of ${PACED.events} events at ${PACED.intervalMs} ms each; late is more than ${LATE_MS} ms.`,
      PINNED ? 'Each proxy had one core.' : 'The proxies were not pinned to cores.',
      `The API was late with an event by at most ${Math.max(...samples.map(({ apiLateMs }) => apiLateMs)).toFixed(1)} ms.`,
      ...(context.priority ? ['Measured at the highest priority.'] : []),
      ...absent,
    ],
  };
}

/** Each proxy has one core alone; client and API share the other. */
const PINNED = availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0;
const PROXY_CORE = 0;
function pin(pid: number, core: 0 | 1): void {
  if (PINNED) spawnSync('taskset', ['-apc', String(core), String(pid)]);
}

/**
 * The session of this process, with the proxies and the API, goes first on each core. Real-time priority would let each thread of V8
 * keep the core for 100 ms, while the event loop of its process waits.
 */
function goFirst(): void {
  if (readFileSync('/proc/sys/kernel/sched_autogroup_enabled', 'latin1').trim() !== '1')
    throw new Error(
      '--priority needs a kernel that groups processes by session (kernel.sched_autogroup_enabled=1)',
    );
  writeFileSync('/proc/self/autogroup', String(constants.priority.PRIORITY_HIGHEST));
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
    pin(running.pid, PROXY_CORE);
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

/** V8 collects the heap of an idle process some seconds after its load, on the core of the next one. So a proxy runs only while it is measured. */
const freeze = ({ pid }: Proxy): boolean => process.kill(pid, 'SIGSTOP');

async function thawed<T>(target: Target | Proxy, work: () => Promise<T>): Promise<T> {
  if (!('pid' in target)) return work();
  process.kill(target.pid, 'SIGCONT');
  const done = await work();
  freeze(target);
  return done;
}

/** Throws unless the target passes a whole stream on, because a broken stream can be fast. */
async function verify(target: Target): Promise<void> {
  const client = new Client(target);
  const pace = { events: 8, intervalMs: 1 };
  const { lost } = await client.stream(pace, requestFor(target, pace));
  client.close();
  if (lost > 0) throw new Error(`${target.name} lost ${lost} of 8 events`);
}

async function sample(target: Target | Proxy): Promise<Sample> {
  const client = new Client(target);
  const short = await inTurn(target, client, SHORT, SHORT_STREAMS);
  const alone = await inTurn(target, client, ALONE, ALONE_STREAMS);
  client.close();
  const all = await wave(target);
  return {
    ...all,
    name: target.name,
    first: percentiles(short.map(({ firstMs }) => firstMs)),
    alone: percentiles(alone.flatMap(({ delaysMs }) => [...delaysMs])),
    lost: all.lost + lostOf([...short, ...alone]),
  };
}

const percentiles = (values: readonly number[]): Percentiles => ({
  p50: percentile(values, 0.5),
  p99: percentile(values, 0.99),
});

const lostOf = (streamed: readonly Streamed[]) => streamed.reduce((sum, { lost }) => sum + lost, 0);

async function inTurn(target: Target, client: Client, pace: Pace, count: number): Promise<Streamed[]> {
  const request = requestFor(target, pace);
  const done: Streamed[] = [];
  for (let i = 0; i < count; i++) done.push(await client.stream(pace, request));
  return done;
}

/** Clients whose connections are open, as are those of a proxy to the API. */
async function withClients<T>(target: Target, work: (clients: readonly Client[]) => Promise<T>): Promise<T> {
  const clients = Array.from({ length: STREAMS }, () => new Client(target));
  await together(target, clients, OPENING);
  try {
    return await work(clients);
  } finally {
    for (const client of clients) client.close();
  }
}

async function wave(target: Target | Proxy): Promise<Wave> {
  const workBefore = coreWorkMs();
  const measured = await withClients(target, (clients) => waveOf(target, clients));
  return { ...measured, workMs: [...workBefore, ...coreWorkMs()] };
}

async function waveOf(target: Target | Proxy, clients: readonly Client[]): Promise<Omit<Wave, 'workMs'>> {
  const cpu = () => ('pid' in target ? cpuMicros(target.pid) : NaN);
  const before = cpu();
  const streamed = await together(target, clients, PACED);
  const used = cpu() - before;
  const delays = streamed.flatMap(({ delaysMs }) => [...delaysMs]);
  return {
    together: percentiles(delays),
    lost: lostOf(streamed),
    late: delays.filter((ms) => ms > LATE_MS).length,
    apiLateMs: Math.max(...streamed.map(apiLateMs)),
    cpuMicros: 'pid' in target ? used / delays.length : undefined,
  };
}

const coreWorkMs = (): number[] => (PINNED ? [fixedWorkMs(PROXY_CORE)] : []);

/** The API's first event is never late, and each later one has its moment after the first. */
function apiLateMs({ stampsMs }: Streamed): number {
  const [firstMs = 0] = stampsMs;
  return Math.max(...stampsMs.map((ms, i) => ms - firstMs - i * PACED.intervalMs));
}

/**
 * The client sleeps between its reads, and then reads all sockets that have something. Otherwise each event would wake it, which takes
 * twice as much of the core that it shares with the API. It makes the delay of an event up to 1 ms longer.
 */
async function together(target: Target, clients: readonly Client[], pace: Pace): Promise<Streamed[]> {
  const request = requestFor(target, pace);
  const running: Promise<Streamed>[] = [];
  let ended = 0;
  const startedAt = performance.now();
  while (ended < clients.length) {
    const due = ((performance.now() - startedAt) / BEGIN_WITHIN_MS) * clients.length;
    for (const client of clients.slice(running.length, Math.ceil(due)))
      running.push(client.stream(pace, request).finally(() => ended++));
    Atomics.wait(NOBODY_WAKES, 0, 0, SLEEP_MS);
    await turn();
  }
  return Promise.all(running);
}

/** Resident KB that one more open stream takes, where many are open, after collections of the heap. */
async function kbPerStream(proxy: Proxy): Promise<number> {
  const clients = Array.from({ length: OPEN_STREAMS }, () => new Client(proxy));
  const request = requestFor(proxy, OPEN);
  for (const client of clients.slice(0, STREAMS)) await client.open(OPEN, request);
  const before = await collected(proxy.pid);
  for (const client of clients.slice(STREAMS)) await client.open(OPEN, request);
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
  readonly rounds: readonly Round[];
  /** In the first wave of the process; undefined without a proxy. */
  readonly coldLate: number | undefined;
  readonly kb: number | undefined;
}

/** The late events of one wave. */
interface Round {
  readonly late: number;
  /** Whether the core of the proxies was as fast as ever. */
  readonly fast: boolean;
}

function summarize(
  samples: readonly Sample[],
  cold: ReadonlyMap<string, Wave>,
  memory: ReadonlyMap<string, number>,
): Row[] {
  const direct = samples.filter(({ name }) => name === DIRECT);
  const bestMs = Math.min(...samples.flatMap(({ workMs }) => workMs));
  const added = (group: readonly Sample[], of: 'first' | 'alone') =>
    group.map((one, round) => ({
      p50: one[of].p50 - (direct[round]?.[of].p50 ?? NaN),
      p99: one[of].p99 - (direct[round]?.[of].p99 ?? NaN),
    }));
  return [...Map.groupBy(samples, ({ name }) => name)].map(([name, group]) => ({
    name,
    addedFirst: added(group, 'first'),
    addedAlone: added(group, 'alone'),
    together: middle(group.map(({ together }) => together)),
    cpuMicros: median(group.map(({ cpuMicros: cpu }) => cpu ?? NaN)),
    lost: sum([...group, cold.get(name)].map((one) => one?.lost ?? 0)),
    rounds: group.map(({ late, workMs }) => ({ late, fast: isFast(workMs, bestMs) })),
    coldLate: cold.get(name)?.late,
    kb: memory.get(name),
  }));
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

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
      'late in the first wave',
      'late in later ones (slow core)',
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
      row.coldLate === undefined ? '' : String(row.coldLate),
      row.rounds.map(({ late, fast }) => (fast ? String(late) : `(${late})`)).join(' + '),
      row.kb === undefined ? '' : shown(row.cpuMicros),
      row.kb === undefined ? '' : shown(row.kb),
    ]),
  };
}

function goalsOf(rows: readonly Row[]): Goal[] {
  const [ours, base, direct] = [STREAM_ON, BARE, DIRECT].map((name) => rows.find((row) => row.name === name));
  if (ours === undefined || base === undefined || direct === undefined) return [];
  const first = ours.addedFirst.map(({ p99 }) => p99);
  const moreThanBare = (of: 'addedFirst' | 'addedAlone') =>
    ours[of].map(({ p99 }, round) => p99 - (base[of][round]?.p99 ?? NaN));
  const [firstMore, more] = [moreThanBare('addedFirst'), moreThanBare('addedAlone')];
  const quartiles = (values: readonly number[]) => [percentile(values, 0.25), percentile(values, 0.75)];
  const fast = ours.rounds.filter((round) => round.fast);
  return [
    atMost('first event: p99, ms more than without a proxy', median(first), ADDED_MS, quartiles(first)),
    atMost(`first event: p99, ms more than ${BARE}`, median(firstMore), ADDED_MS, quartiles(firstMore)),
    atMost(`one stream, event: p99, ms more than ${BARE}`, median(more), ADDED_MS, quartiles(more)),
    // A machine on which events are late without a proxy, or whose core is slow, cannot show that a proxy delays none.
    atMost(
      `${STREAMS} streams: lost or late events after the first wave, the core at full speed`,
      ours.lost + sum(fast.map(({ late }) => late)),
      0,
      fast.length === 0 || direct.lost + sum(direct.rounds.map(({ late }) => late)) > 0 ? [0, 1] : [],
    ),
    atMost('KB an open stream', ours.kb ?? NaN, KB_PER_STREAM),
  ];
}
