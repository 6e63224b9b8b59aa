import { setTimeout as sleep } from 'node:timers/promises';
import { Clients, requestText } from '../lib/clients.ts';
import type { Context } from '../lib/context.ts';
import { BARE, BREAKWATER, bare, breakwater, type Launched } from '../lib/contenders.ts';
import { startOrigin } from '../lib/origin.ts';
import { cpuMicros } from '../lib/proc.ts';
import { openFilesLimit } from '../lib/process.ts';
import { atMost, type Part } from '../lib/report.ts';
import { median, quartiles } from '../lib/stats.ts';

const CONNECTIONS = 32;
const GET = requestText('/1k');

/** CPU per request where something else has grown: routes, calls in flight, credentials. */
export async function flat(context: Context): Promise<Part> {
  const originPort = await startOrigin();
  const compared = [
    await routes(context, originPort),
    await credentials(context, originPort),
    await inFlight(context, { originPort }),
    await inFlight(context, { originPort, ofBare: true }),
  ];
  return {
    title: 'CPU per request where something grows',
    tables: [
      {
        head: ['', 'few, CPU µs', 'many, CPU µs', 'ratio', 'quartiles', 'of minima'],
        rows: compared.map(({ what, few, many, ratios }) => [
          what,
          median(few).toFixed(1),
          median(many).toFixed(1),
          median(ratios).toFixed(2),
          quartiles(ratios)
            .map((ratio) => ratio.toFixed(2))
            .join('–'),
          (Math.min(...many) / Math.min(...few)).toFixed(2),
        ]),
      },
    ],
    goals: compared.flatMap(({ what, ratios, limit }) =>
      limit === undefined ? [] : atMost(`CPU per request, ${what}`, median(ratios), limit, quartiles(ratios)),
    ),
    notes: compared
      .filter(({ refused }) => refused > 0)
      .map(({ what, refused }) => `${what}: ${refused} replies were not 2xx.`),
    failed: compared.some(({ refused }) => refused > 0),
  };
}

interface Compared {
  readonly what: string;
  /** Undefined: no goal. */
  readonly limit: number | undefined;
  /** CPU µs per request, by round. */
  readonly few: readonly number[];
  readonly many: readonly number[];
  readonly ratios: readonly number[];
  /** Replies that were not 2xx. */
  readonly refused: number;
}

async function routes(context: Context, originPort: number): Promise<Compared> {
  const few = await launch(context, originPort, oneUpstream(originPort, ''));
  const paths = Array.from(
    { length: 499 },
    (_, i) => `      - match: { method: GET, path: "/v1/r${i}/:id" }\n`,
  );
  const many = await launch(context, originPort, oneUpstream(originPort, `    routes:\n${paths.join('')}`));
  return await compare(context, [few, many], {
    what: '500 routes ÷ 1',
    limit: 1.1,
    next: [() => GET, () => GET],
  });
}

/** The origin's replies state a quota, so the proxy learns one for each credential. */
async function credentials(context: Context, originPort: number): Promise<Compared> {
  const proxies = [await launch(context, originPort), await launch(context, originPort)] as const;
  const count = context.quick ? 20_000 : 100_000;
  let next = 0;
  const distinct = (): string =>
    requestText('/1k', { headers: { authorization: `Bearer sk_test_${(next = (next + 1) % count)}` } });
  const all = await Clients.open(proxies[1].port, CONNECTIONS);
  await all.send(count, distinct);
  all.close();
  return await compare(context, proxies, {
    what: `${count} credentials ÷ 1`,
    limit: 1.2,
    next: [() => GET, distinct],
  });
}

interface Comparison {
  readonly what: string;
  readonly limit: number;
  readonly next: readonly [() => string, () => string];
}

/** Rounds of requests to the two proxies, in turn. */
async function compare(
  { quick }: Context,
  [few, many]: readonly [Launched, Launched],
  { what, limit, next }: Comparison,
): Promise<Compared> {
  const [rounds, requests] = quick ? [6, 1_500] : [12, 3_000];
  const clients = [
    await Clients.open(few.port, CONNECTIONS),
    await Clients.open(many.port, CONNECTIONS),
  ] as const;
  const cpuOf = async (which: 0 | 1): Promise<number> => {
    const { pid } = which === 0 ? few : many;
    const before = cpuMicros(pid);
    await clients[which].send(requests, next[which]);
    return (cpuMicros(pid) - before) / requests;
  };
  for (let i = 0; i < WARM_UP / requests; i++) await Promise.all([cpuOf(0), cpuOf(1)]);
  const results: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const);
    for (const which of order) results[which].push(await cpuOf(which));
  }
  for (const one of clients) one.close();
  await Promise.all([few.stop(), many.stop()]);
  const refused = clients[0].refused + clients[1].refused;
  return { what, limit, few: results[0], many: results[1], ratios: ratiosOf(results), refused };
}

const WARM_UP = 12_000;
const IN_FLIGHT = 10_000;
/** Files of a proxy that are not these connections: also connections that are just being replaced. */
const OTHER_FILES = 2_000;
/** Both proxies have this rate, because a process that does little has fewer events in each turn of its loop. */
const PER_SECOND = 800;

interface InFlight {
  readonly originPort: number;
  /** Bare dispatch instead of Breakwater. Its ratio tells how much of ours belongs to sockets, node:http and undici. */
  readonly ofBare?: boolean;
}

/** Both at once, for the same seconds. The upstream takes as long as it takes for that many to be in flight. */
async function inFlight(context: Context, { originPort, ofBare = false }: InFlight): Promise<Compared> {
  const url = `http://127.0.0.1:${originPort}`;
  // A route that was fast takes such slow replies for silence. So the warm-up has an upstream of its own.
  // Many calls in flight take long, and each line of the log would count.
  const config = `
log: { slow: 60s }
upstreams:
  warm: { url: "${url}", allow_private: true }
  slow: { url: "${url}", allow_private: true }
`;
  const start = (): Promise<Launched> =>
    ofBare ? bare(context.tempDir).launch(originPort) : launch(context, originPort, config);
  const [few, many] = [await start(), await start()];
  const [warmMount, slowMount] = ofBare ? ['', ''] : ['/warm', '/slow'];
  // A call needs two connections.
  const count = Math.min(IN_FLIGHT, Math.floor((openFilesLimit() - OTHER_FILES) / 2));
  const loads = [
    { proxy: few, count: CONNECTIONS },
    { proxy: many, count },
  ];
  const running = [];
  for (const { proxy, count: connections } of loads) {
    // Warms up the code and the pool of connections.
    const warm = await Clients.open(proxy.port, CONNECTIONS);
    await warm.send(WARM_UP, () => requestText(`${warmMount}/1k`));
    warm.close();
    const clients = await Clients.open(proxy.port, connections);
    const delay = (connections / PER_SECOND) * 1_000;
    clients.keepSending(() => requestText(`${slowMount}/1k?delay=${delay.toFixed(0)}`), delay);
    running.push({ pid: proxy.pid, clients });
  }
  // Until all are in flight, and the first have come back.
  await sleep((count / PER_SECOND) * 1_000 + 2_000);
  const results: [number[], number[]] = [[], []];
  for (let round = 0; round < (context.quick ? 1 : 3); round++) {
    const before = running.map(({ pid, clients }) => ({ cpu: cpuMicros(pid), completed: clients.completed }));
    // As long as a call, because the calls may come back in waves.
    await sleep((count / PER_SECOND) * 1_000);
    running.forEach(({ pid, clients }, i) => {
      const { cpu = NaN, completed = NaN } = before[i] ?? {};
      results[i as 0 | 1].push((cpuMicros(pid) - cpu) / (clients.completed - completed));
    });
  }
  for (const { clients } of running) {
    clients.close();
    if (clients.refused > 0) context.progress(`refused, by status: ${JSON.stringify([...clients.refusals])}`);
  }
  await Promise.all([few.stop(), many.stop()]);
  return {
    what: `${count} calls in flight ÷ ${CONNECTIONS}${ofBare ? `, ${BARE}` : ''}`,
    limit: ofBare ? undefined : 1.3,
    few: results[0],
    many: results[1],
    ratios: ratiosOf(results),
    refused: running.reduce((sum, { clients }) => sum + clients.refused, 0),
  };
}

function launch({ tempDir, fromSource }: Context, originPort: number, config?: string): Promise<Launched> {
  const options = { fromSource, ...(config === undefined ? {} : { config: () => config }) };
  const contender = breakwater(tempDir, options);
  if (contender.missing !== undefined) throw new Error(`${BREAKWATER}: ${contender.missing}`);
  return contender.launch(originPort);
}

function oneUpstream(originPort: number, more: string): string {
  return `
upstreams:
  origin:
    url: http://127.0.0.1:${originPort}
    mount: { path: / }
    allow_private: true
${more}`;
}

function ratiosOf([few, many]: readonly [readonly number[], readonly number[]]): number[] {
  return many.map((micros, round) => micros / (few[round] ?? NaN));
}
