import { connect, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { pause, SoakedProxy } from '../soak/proxy.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { PLAYS, type World } from './plays.ts';
import { startUpstreams } from './upstream.ts';

/*
 * Hostile clients and hostile upstreams against a process with a heap of 256 MB. After each play, it must run, answer
 * its probe, and answer other clients. At the end, its memory must be free. `node test/abuse/run.ts --minutes 30 --scale 4`;
 * all plays once where `--minutes` is 0. A run of minutes reloads the configuration 100 times at least. The order is random: the seed that is printed repeats it.
 */

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '0' },
    scale: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
  },
});
const random = seededRandom(Number(values.seed));
/** In a run of minutes. */
const LEAST_RELOADS = 100;
const SLACK_BYTES = 16 * 1024 * 1024;

const upstreams = await startUpstreams();
const config = (generation: number) => `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
drain_timeout: 1s
clients: { http2: true }
durable: { store: ./durable.db }
defaults: { breaker: off, concurrency: off }
upstreams:
  api:
    url: http://127.0.0.1:${upstreams.port}
    allow_private: true
    allow: ["ANY /v1/*-*-*", "ANY /ok", "ANY /slow/**", "ANY /bytes/**", "ANY /later/**"]
    headers: { set: { generation: "${generation}" } }
    routes: [{ match: { path: /later/** }, durable: { mode: on } }]
  silent: # never gets as far as a connection, and so reads nothing
    url: https://127.0.0.1:${upstreams.silentPort}
    allow_private: true
    timeouts: { connect: 20s }
`;
const proxy = new SoakedProxy(config(0), ['--max-old-space-size=256', '--import', './test/abuse/faults.ts']);
await proxy.ready();
const url = `http://127.0.0.1:${proxy.port}`;

async function play(name: string, act: (world: World) => Promise<void>): Promise<void> {
  const sockets: Socket[] = [];
  const open = (bytes: string | Buffer = ''): Socket => {
    const socket = connect(proxy.port, '127.0.0.1').on('error', () => undefined);
    socket.write(bytes);
    sockets.push(socket);
    return socket;
  };
  try {
    await act({
      url,
      scale: Number(values.scale),
      open,
      reload,
      fault: (fault) => proxy.tell(fault),
      asked: (id) => upstreams.slow.get(id) ?? 0,
    });
    await answers();
  } catch (error) {
    throw new Error(`${name}: ${proxy.exit ?? 'alive'}: ${proxy.complaints.slice(0, 1_000)}`, {
      cause: error,
    });
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

let reloads = 0;

/** Rejects if the new configuration is not active in time, or if a call was lost meanwhile. */
async function reload(): Promise<void> {
  const generation = String(++reloads);
  const running = fetch(`${url}/api/slow/reload`, { headers: { connection: 'close' } });
  proxy.rewrite(config(reloads));
  proxy.reload();
  for (let seen = ''; seen !== generation; await pause(20)) {
    const reply = await fetch(`${url}/api/ok`, {
      headers: { connection: 'close' },
      signal: AbortSignal.timeout(10_000),
    });
    await reply.text();
    if (reply.status !== 200) throw new Error(`a call during a reload was answered ${reply.status}`);
    seen = reply.headers.get('generation') ?? '';
    if (Number(seen) > reloads) throw new Error(`generation ${seen} serves before it was written`);
  }
  const { status } = await running;
  if (status !== 200) throw new Error(`a call that ran during a reload was answered ${status}`);
}

/** Rejects if a call of another client is not answered, or the process has ended. */
async function answers(): Promise<void> {
  for (const address of [`${url}/api/ok`, `${proxy.adminUrl}/healthz`]) {
    const reply = await fetch(address, {
      headers: { connection: 'close' },
      signal: AbortSignal.timeout(60_000),
    });
    await reply.text();
    if (reply.status !== 200) throw new Error(`${address} answered ${reply.status}`);
  }
  if (proxy.exit !== undefined) throw new Error(`the process ended with ${proxy.exit}`);
}

/** Rejects if memory of the plays is not freed. */
async function memoryIsBack(before: Record<'heapBytes' | 'externalBytes', number>): Promise<void> {
  // Connections of disconnected clients with an unread upload end by their own timeouts.
  for (let waits = 0; waits < 60 && (await proxy.left())['calls'] !== 0; waits++) await pause(1_000);
  await pause(1_000);
  const after = await proxy.holdings();
  process.stdout.write(
    `${JSON.stringify({ before, after: { ...after, descriptors: after.descriptors.length } })}\n`,
  );
  for (const what of ['heapBytes', 'externalBytes'] as const)
    if (after[what] > before[what] + SLACK_BYTES)
      throw new Error(`${what} grew from ${before[what]} to ${after[what]}`);
}

async function run(): Promise<void> {
  await answers();
  const { heapBytes, externalBytes } = await proxy.holdings();
  const until = Date.now() + Number(values.minutes) * 60_000;
  do {
    const order = Object.entries(PLAYS).map((entry) => ({ entry, rank: random() }));
    for (const { entry } of order.sort((one, other) => one.rank - other.rank)) {
      const began = Date.now();
      await play(...entry);
      process.stdout.write(`${Date.now() - began} ms: ${entry[0]}\n`);
    }
  } while (Date.now() < until || (Number(values.minutes) > 0 && reloads < LEAST_RELOADS));
  process.stdout.write(`${reloads} reloads\n`);
  await memoryIsBack({ heapBytes, externalBytes });
  const exit = await proxy.stop();
  // The full disk is reported as an error, which it is.
  const bugs = proxy.bugs.filter((line) => !line.includes('"problem":"full"'));
  if (exit !== '0' || bugs.length > 0) throw new Error(`ended with ${exit}; ${bugs.slice(0, 3).join(' ')}`);
}

process.stdout.write(`abuse: seed ${values.seed}\n`);
await run().then(
  () => process.stdout.write('abuse: it lived\n'),
  async (error: unknown) => {
    console.error('abuse: FAILED', error);
    process.exitCode = 1;
    if (proxy.exit === undefined) await proxy.stop();
  },
);
upstreams.stop();
