import { setTimeout as sleep } from 'node:timers/promises';
import { Clients, requestText } from '../lib/clients.ts';
import type { Context } from '../lib/context.ts';
import { BARE, bare, breakwater, BREAKWATER, type Contender } from '../lib/contenders.ts';
import { startOrigin } from '../lib/origin.ts';
import { cpuMicros } from '../lib/proc.ts';
import type { Part, Table } from '../lib/report.ts';
import { CHAT, type Scenario, SCENARIOS } from '../lib/scenarios.ts';
import { type Started, startAll } from '../lib/startup.ts';
import { median, quartiles } from '../lib/stats.ts';
import { verify } from '../lib/verify.ts';

/** One upstream that is configured in its own way, as lines of YAML below its address. */
interface Setup {
  readonly name: string;
  readonly lines: string;
}

const EVERYTHING_OFF = `
    retry: off
    breaker: off
    quota: { learn: false }
    concurrency: off
    hedge: off`;

const setup = (name: string, lines = ''): Setup => ({ name, lines });

/** Each after `defaults` takes a policy away from the defaults, or adds one. No name has a comma, which separates those of `--only`. */
const SETUPS: readonly Setup[] = [
  setup('every policy off', EVERYTHING_OFF),
  setup('defaults'),
  setup('quota learns nothing', 'quota: { learn: false }'),
  setup('quota 1000000/s', 'quota: { windows: [1000000/s], learn: false }'),
  setup('retry off', 'retry: off'),
  setup('breaker off', 'breaker: off'),
  setup('concurrency off', 'concurrency: off'),
  setup('attempt timeout', 'timeouts: { attempt: 10s }'),
  setup('fallback', 'fallback: { reply: { status: 503 } }'),
];

const CHAT_SETUPS: readonly Setup[] = [
  setup('every policy off', EVERYTHING_OFF),
  setup('defaults'),
  setup('preset openai', 'preset: openai'),
];

const CONNECTIONS = 16;
const SLICE_MS = 500;

/**
 * CPU per request of proxies that differ in one policy, all loaded in the same seconds, because the speed of
 * a shared machine changes from second to second. With `builds`, each setup runs on each build.
 */
export async function policies(context: Context): Promise<Part> {
  const originPort = await startOrigin();
  const [get, , post] = SCENARIOS as readonly [Scenario, Scenario, Scenario];
  const groups: readonly (readonly [Scenario, readonly Setup[]])[] = [
    [get, SETUPS],
    [post, SETUPS],
    [CHAT, CHAT_SETUPS],
  ];
  const tables: Table[] = [];
  let failures = 0;
  for (const [scenario, setups] of groups) {
    context.progress(scenario.name);
    const measured = await compare(context, { scenario, setups, originPort });
    tables.push(tableOf(scenario.name, measured));
    for (const { refused } of measured) failures += refused;
  }
  return {
    title: 'What each policy costs',
    tables,
    goals: [],
    notes: [`All proxies of a table at once, ${CONNECTIONS} connections each, slices of ${SLICE_MS} ms.`],
    failed: failures > 0,
  };
}

interface Comparison {
  readonly scenario: Scenario;
  readonly setups: readonly Setup[];
  readonly originPort: number;
}

interface Measured {
  readonly name: string;
  /** CPU µs per request, by slice. */
  readonly micros: number[];
  /** Replies that were not 2xx. */
  readonly refused: number;
}

interface Loaded extends Started {
  readonly clients: Clients;
  readonly micros: number[];
}

async function compare(context: Context, { scenario, setups, originPort }: Comparison): Promise<Measured[]> {
  const { method, path, body } = scenario;
  const started = await startAll([bare(context.tempDir), ...proxies(context, setups)], originPort);
  const text = requestText(path, { method, ...(body === undefined ? {} : { body: body.toString() }) });
  const loaded: Loaded[] = [];
  for (const { name, running } of started) {
    await verify(running.port, scenario);
    const clients = await Clients.open(running.port, CONNECTIONS);
    clients.keepSending(() => text, 0);
    loaded.push({ name, running, clients, micros: [] });
  }
  await sleep(context.quick ? 12_000 : 24_000);
  const state = () =>
    loaded.map(({ running, clients }) => ({ cpu: cpuMicros(running.pid), done: clients.completed }));
  let before = state();
  for (let slice = 0; slice < (context.quick ? 16 : 60); slice++) {
    await sleep(SLICE_MS);
    const after = state();
    loaded.forEach(({ micros }, i) => {
      const [from, to] = [before[i], after[i]] as [State, State];
      micros.push((to.cpu - from.cpu) / (to.done - from.done));
    });
    before = after;
  }
  for (const { clients } of loaded) clients.close();
  await Promise.all(started.map(({ running }) => running.stop()));
  return loaded.map(({ name, clients, micros }) => ({ name, micros, refused: clients.refused }));
}

interface State {
  readonly cpu: number;
  readonly done: number;
}

function proxies({ tempDir, fromSource, builds, only }: Context, setups: readonly Setup[]): Contender[] {
  const taken = setups.filter(({ name }) => only === undefined || only.includes(name));
  const compared = builds.length === 0 ? [undefined] : builds;
  return taken.flatMap(({ name, lines }) =>
    compared.map((build) => {
      const config = ({ originPort }: { readonly originPort: number }): string =>
        `upstreams:\n  origin:\n    url: http://127.0.0.1:${originPort}\n    mount: { path: / }\n    allow_private: true\n    ${lines.trim()}\n`;
      const one = breakwater(tempDir, { fromSource, config, build });
      if (one.missing !== undefined) throw new Error(`${BREAKWATER}: ${one.missing}`);
      return { ...one, name: build === undefined ? name : `${name} (${build})` };
    }),
  );
}

function tableOf(scenario: string, measured: readonly Measured[]): Table {
  const base = measured.find(({ name }) => name === BARE)?.micros ?? [];
  const least = Math.min(...base);
  return {
    head: [scenario, 'ratio', 'quartiles', 'of minima', 'CPU µs'],
    rows: measured.map(({ name, micros, refused }) => {
      const ratios = micros.map((value, slice) => value / (base[slice] ?? NaN));
      return [
        refused === 0 ? name : `${name} (${refused} FAILED)`,
        median(ratios).toFixed(2),
        quartiles(ratios)
          .map((ratio) => ratio.toFixed(2))
          .join('–'),
        (Math.min(...micros) / least).toFixed(2),
        median(micros).toFixed(1),
      ];
    }),
  };
}
