import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { byPlace, sampled, total } from './lib/allocation.ts';
import { load } from './lib/load.ts';
import { type Command, freePort, killAll, start, stopAll } from './lib/process.ts';
import { SCENARIOS, type Scenario } from './lib/scenarios.ts';

/**
 * Allocated bytes per request, of Breakwater and of the bare proxy (bench/programs/bare-dispatch.ts). Unlike times, they depend
 * little on other load of the machine, so their ratio is a gate.
 */
const USAGE = `npm run bench:alloc -- [options]
  --quick         fewer requests, GET 1 KiB only
  --top N         the N places that allocate most, of each process
  --from-source   run Breakwater from src/ instead of dist/`;

/** Maximum ratio of Breakwater to the bare proxy. It is lowered with each improvement, and never raised. */
const GATES: ReadonlyMap<string, number> = new Map([
  ['GET 1 KiB', 2.3],
  ['POST 1 KiB', 2.3],
]);

/** Until then V8 still compiles, and its own allocations would blur the ratio. */
const WARM_UP_REQUESTS = 12_000;
const CONNECTIONS = 32;

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    top: { type: 'string', default: '0' },
    'from-source': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const root = fileURLToPath(new URL('../', import.meta.url));
const requests = flags.quick ? 10_000 : 20_000;

interface Place {
  readonly port: number;
  readonly originPort: number;
}

type Contender = readonly [name: string, command: (place: Place) => Promise<Command>];

const bare: Contender = [
  'bare dispatch',
  async ({ port, originPort }) => ({
    file: process.execPath,
    args: [join(root, 'bench/programs/bare-dispatch.ts'), String(port), String(originPort)],
  }),
];

const breakwater: Contender = [
  'Breakwater',
  async ({ port, originPort }) => ({
    file: process.execPath,
    args: [
      join(root, flags['from-source'] ? 'src/main.ts' : 'dist/main.js'),
      'start',
      '--config',
      join(root, 'bench/breakwater.yaml'),
    ],
    env: {
      BENCH_LISTEN_PORT: String(port),
      BENCH_ADMIN_PORT: String(await freePort()),
      BENCH_ORIGIN_PORT: String(originPort),
    },
  }),
];

/** Starts the contender for one scenario, measures it, and stops it. */
async function bytesPerRequest(
  [name, command]: Contender,
  scenario: Scenario,
  { originPort, folder }: { readonly originPort: number; readonly folder: string },
): Promise<number> {
  const port = await freePort();
  const { file, args, env } = await command({ port, originPort });
  const profile = join(folder, `${name} ${scenario.name}.json`);
  const sampler = join(root, 'bench/lib/allocation-sampler.mjs');
  const running = await start(
    { file, args: ['--import', sampler, ...args], env: { ...env, ALLOCATION_PROFILE: profile } },
    port,
  );
  await load(port, scenario, { requests: WARM_UP_REQUESTS, connections: CONNECTIONS });
  let sent = 0;
  const head = await sampled(running.pid, profile, async () => {
    const result = await load(port, scenario, { requests, connections: CONNECTIONS });
    if (result.failures > 0) throw new Error(`${name}: ${result.failures} requests failed`);
    sent = result.requests;
  });
  await running.stop();
  const places = byPlace(head);
  for (const [place, bytes] of [...places].sort((a, b) => b[1] - a[1]).slice(0, Number(flags.top)))
    console.log(`${String(Math.round(bytes / sent)).padStart(8)}  ${place}`);
  return total(places) / sent;
}

async function main(): Promise<void> {
  if (!flags['from-source'] && !existsSync(join(root, 'dist/main.js')))
    throw new Error('dist/main.js is missing; run npm run build first');
  const folder = mkdtempSync(join(tmpdir(), 'breakwater-allocation-'));
  process.once('exit', () => {
    killAll();
    rmSync(folder, { recursive: true, force: true });
  });
  const originPort = await freePort();
  await start(
    { file: process.execPath, args: [join(root, 'bench/programs/origin.ts'), String(originPort)] },
    originPort,
  );
  const scenarios = SCENARIOS.filter(({ name }) => GATES.has(name)).slice(0, flags.quick ? 1 : undefined);
  for (const scenario of scenarios) {
    const ours = await bytesPerRequest(breakwater, scenario, { originPort, folder });
    const theirs = await bytesPerRequest(bare, scenario, { originPort, folder });
    const gate = GATES.get(scenario.name) as number;
    const ratio = ours / theirs;
    const result = ratio <= gate ? 'within' : 'ABOVE';
    console.log(
      `${scenario.name}: Breakwater ${Math.round(ours)} bytes per request, bare dispatch ${Math.round(theirs)}, ratio ${ratio.toFixed(2)}, ${result} the gate of ${gate}`,
    );
    if (ratio > gate) process.exitCode = 1;
  }
  await stopAll();
}

if (flags.help) console.log(USAGE);
else await main();
