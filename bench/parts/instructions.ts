import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { Callgrind } from '../lib/callgrind.ts';
import { Clients, requestText } from '../lib/clients.ts';
import type { Context } from '../lib/context.ts';
import {
  BARE,
  bare,
  breakwater,
  BREAKWATER,
  type Contender,
  notOnPath,
  SHIPPED_ARGS,
} from '../lib/contenders.ts';
import { startOrigin } from '../lib/origin.ts';
import { atMost, type Part, shown, type Table } from '../lib/report.ts';
import { type Scenario, SCENARIOS } from '../lib/scenarios.ts';
import { LIMITS } from './data-path.ts';

/** V8 still compiles during the first ones. */
const WARM_UP = 15_000;
const REQUESTS = 3_000;
/** The last one counts. */
const MOST_WINDOWS = 8;
/** The most that the compilers may take of the window that counts. */
const STEADY = 0.05;
const CONNECTIONS = 8;

/** Without it, the young generation shrinks, because under valgrind little is allocated in a second. */
const ALWAYS_4_MB = '--min-semi-space-size=4';

/** They end after some ten thousand requests. */
const COMPILERS = 'compilers of V8';

/** Where instructions are executed, by the name of their function. The first that fits. */
const GROUPS: readonly (readonly [group: string, fits: RegExp])[] = [
  ['regular expressions', /^RegExp\.|RegExp/],
  ['JavaScript of undici', /\/node_modules\/undici\/|wasm/],
  ['JavaScript of node:http, streams and net', / node:/],
  ['JavaScript of the proxy', /^JS:|^LazyCompile|\.ts:|file:/],
  [
    COMPILERS,
    /v8::internal::(?:compiler|maglev|baseline|interpreter|wasm|parsing|Zone)|Turboshaft|turboshaft/,
  ],
  ['collector of V8', /Scaveng|Marking|Sweep|IterateObjectCache|Heap::|heap::/],
  ['built-in functions of V8', /^Builtins_/],
  ['C++ of V8', /v8::/],
  ['C++ of Node, llhttp and libuv', /node::|llhttp|^uv_|uv__|simdutf|ncrypto/],
];

/**
 * Instructions of user space per request, and where they are executed. They have the limits of CPU time. Other load does not change
 * them, but V8 compiles another selection of functions in each run: three runs had 222 to 249 thousand for a GET.
 */
export async function instructions(context: Context): Promise<Part> {
  const missing = notOnPath('valgrind');
  if (missing !== undefined) throw new Error(missing);
  const originPort = await startOrigin();
  const parts = [];
  for (const scenario of SCENARIOS.filter(({ name }) => name.endsWith(' 1 KiB')))
    parts.push(await compared(context, scenario, originPort));
  return {
    title: 'Instructions per request',
    tables: parts.map(({ table }) => table),
    goals: parts.map(({ goal }) => goal),
    notes: [
      `User space only, mean of ${REQUESTS} requests on ${CONNECTIONS} connections, once the compilers take less than ${STEADY * 100} %.`,
    ],
  };
}

async function compared(context: Context, scenario: Scenario, originPort: number) {
  const columns = await Promise.all([
    counted(context, 'bare', { scenario, originPort }),
    counted(context, 'ours', { scenario, originPort }),
  ]);
  const [theirs, ours] = columns.map(groupsOf) as [Groups, Groups];
  const rows = [...GROUPS.map(([group]) => group), OTHER, TOTAL].map((group) => [
    group,
    shown((theirs.get(group) ?? 0) / 1000),
    shown((ours.get(group) ?? 0) / 1000),
  ]);
  const ratio = (ours.get(TOTAL) ?? NaN) / (theirs.get(TOTAL) ?? NaN);
  const table: Table = { head: [`${scenario.name}, thousands`, BARE, BREAKWATER], rows };
  return {
    table,
    goal: atMost(`${scenario.name}: instructions, × ${BARE}`, ratio, LIMITS[scenario.name] ?? NaN),
  };
}

const OTHER = 'other';
const TOTAL = 'all, without the compilers';

type Groups = ReadonlyMap<string, number>;

function groupsOf(costs: ReadonlyMap<string, number>): Groups {
  const sums = new Map<string, number>();
  for (const [name, cost] of costs) {
    const group = GROUPS.find(([, fits]) => fits.test(name))?.[0] ?? OTHER;
    for (const one of group === COMPILERS ? [group] : [group, TOTAL])
      sums.set(one, (sums.get(one) ?? 0) + cost / REQUESTS);
  }
  return sums;
}

const isSteady = (sums: Groups): boolean => (sums.get(COMPILERS) ?? 0) <= STEADY * (sums.get(TOTAL) ?? -1);

interface Load {
  readonly scenario: Scenario;
  readonly originPort: number;
}

/** The source tells whose JavaScript it is, the build does not. */
function programOf(tempDir: string, which: 'bare' | 'ours', { wrap }: Callgrind): Contender {
  return which === 'bare'
    ? bare(tempDir, { wrap, nodeArgs: [...SHIPPED_ARGS, ALWAYS_4_MB] })
    : breakwater(tempDir, { wrap, nodeArgs: [ALWAYS_4_MB], fromSource: true });
}

async function counted({ tempDir }: Context, which: 'bare' | 'ours', { scenario, originPort }: Load) {
  const { method, path, body } = scenario;
  const callgrind = new Callgrind(mkdtempSync(join(tempDir, 'callgrind-')));
  const running = await programOf(tempDir, which, callgrind).launch(originPort);
  const text = requestText(path, { method, ...(body === undefined ? {} : { body: body.toString() }) });
  const clients = await Clients.open(running.port, CONNECTIONS);
  await clients.send(WARM_UP, () => text);
  let costs: ReadonlyMap<string, number> = new Map();
  for (let window = 0; window < MOST_WINDOWS && !isSteady(groupsOf(costs)); window++) {
    callgrind.begin(running.pid);
    await clients.send(REQUESTS, () => text);
    costs = callgrind.end(running.pid);
  }
  clients.close();
  await running.stop();
  if (clients.refused > 0) throw new Error(`${scenario.name}: ${clients.refused} replies were not 2xx`);
  return costs;
}
