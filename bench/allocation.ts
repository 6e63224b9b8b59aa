import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { byPlace, sampled, total } from './lib/allocation.ts';
import { bare, breakwater, type Contender } from './lib/contenders.ts';
import { load } from './lib/load.ts';
import { startOrigin } from './lib/origin.ts';
import { killAll, stopAll } from './lib/process.ts';
import { SCENARIOS, type Scenario } from './lib/scenarios.ts';
import { median } from './lib/stats.ts';

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
  ['GET 1 KiB', 1.28],
  ['POST 1 KiB', 1.28],
]);

/** Until then V8 still compiles, and its own allocations would blur the ratio. */
const WARM_UP_REQUESTS = 12_000;
const CONNECTIONS = 32;

/** The bytes of one round differ by a hundredth, because they are sampled. The median of three decides. */
const ROUNDS = 3;

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    top: { type: 'string', default: '0' },
    'from-source': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const sampler = fileURLToPath(new URL('lib/allocation-sampler.mjs', import.meta.url));
const requests = flags.quick ? 10_000 : 20_000;

/** Starts the contender for one scenario, measures it, and stops it. */
async function bytesPerRequest(
  contender: Contender,
  scenario: Scenario,
  { originPort, profile }: { readonly originPort: number; readonly profile: string },
): Promise<number> {
  const { name, missing } = contender;
  if (missing !== undefined) throw new Error(missing);
  const running = await contender.launch(originPort);
  await load(running.port, scenario, { requests: WARM_UP_REQUESTS, connections: CONNECTIONS });
  let sent = 0;
  const head = await sampled(running.pid, profile, async () => {
    const result = await load(running.port, scenario, { requests, connections: CONNECTIONS });
    if (result.failures > 0) throw new Error(`${name}: ${result.failures} requests failed`);
    sent = result.requests;
  });
  await running.stop();
  const places = byPlace(head);
  for (const [place, bytes] of [...places].sort((a, b) => b[1] - a[1]).slice(0, Number(flags.top)))
    console.log(`${String(Math.round(bytes / sent)).padStart(8)}  ${place}`);
  return total(places) / sent;
}

/** The contenders, with the sampler. */
function sampledContender(name: 'Breakwater' | 'bare dispatch', folder: string, profile: string): Contender {
  const options = {
    nodeArgs: ['--import', sampler],
    env: { ALLOCATION_PROFILE: profile },
    fromSource: flags['from-source'],
  };
  return name === 'Breakwater' ? breakwater(folder, options) : bare(folder, options);
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'breakwater-allocation-'));
  process.once('exit', () => {
    killAll();
    rmSync(folder, { recursive: true, force: true });
  });
  const originPort = await startOrigin();
  const measured = (name: 'Breakwater' | 'bare dispatch', scenario: Scenario): Promise<number> => {
    const profile = join(folder, `${name} ${scenario.name}.json`);
    return bytesPerRequest(sampledContender(name, folder, profile), scenario, { originPort, profile });
  };
  const scenarios = SCENARIOS.filter(({ name }) => GATES.has(name)).slice(0, flags.quick ? 1 : undefined);
  for (const scenario of scenarios) {
    const rounds: { readonly ours: number; readonly theirs: number }[] = [];
    for (let round = 0; round < ROUNDS; round++)
      rounds.push({
        ours: await measured('Breakwater', scenario),
        theirs: await measured('bare dispatch', scenario),
      });
    const ours = median(rounds.map((round) => round.ours));
    const theirs = median(rounds.map((round) => round.theirs));
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
