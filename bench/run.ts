import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Context } from './lib/context.ts';
import { killAll, stopAll } from './lib/process.ts';
import { type Part, printGoals, printPart } from './lib/report.ts';
import { dataPath } from './parts/data-path.ts';
import { cacheAndSubmit } from './parts/submit.ts';
import { fleet } from './parts/fleet.ts';
import { flat } from './parts/flat.ts';
import { instructions } from './parts/instructions.ts';
import { latency } from './parts/latency.ts';
import { memory } from './parts/memory.ts';
import { policies } from './parts/policies.ts';
import { start } from './parts/start.ts';
import { streams } from './parts/streams.ts';
import { durableWork } from './parts/work.ts';

const PARTS: Readonly<Record<string, (context: Context) => Promise<Part>>> = {
  path: dataPath,
  latency,
  start,
  streams,
  memory,
  flat,
  submit: cacheAndSubmit,
  work: durableWork,
  fleet,
};

/** Take longer, and answer the questions of an author. They run only if they are named. */
const NAMED_PARTS: typeof PARTS = { policies, instructions };
const ALL_PARTS = { ...PARTS, ...NAMED_PARTS };

const USAGE = `npm run bench -- [PART …] [options]
  parts           ${Object.keys(PARTS).join(', ')}; default: these. Others: ${Object.keys(NAMED_PARTS).join(', ')}
  --quick         about a third of the time, for a first impression only
  --json          one JSON document on stdout instead of tables
  --only A,B      path, latency, policies and work: only these rows (the baseline always runs, except for work)
  --builds A,B    policies: compare the builds of these checkouts
  --rounds N      path and work: rounds, default 20 and 4
  --calls N       work: calls a round, default 20000
  --from-source   Breakwater from src/ instead of dist/
  --priority      streams: at the highest priority (as root), so that other load changes less`;

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    'from-source': { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    priority: { type: 'boolean', default: false },
    calls: { type: 'string' },
    builds: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

function machine(): string {
  const commit = execFileSync('git', ['describe', '--always', '--dirty'], { cwd: import.meta.dirname });
  return [
    new Date().toISOString().slice(0, 10),
    `Node ${process.version}`,
    `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    `commit ${commit.toString().trim()}`,
    // Well above 0, it widens the quartiles.
    `load average before ${(loadavg()[0] ?? NaN).toFixed(1)}`,
  ].join(' · ');
}

async function measure(names: readonly string[], context: Context): Promise<void> {
  const about = machine();
  const parts: Part[] = [];
  if (!flags.json) console.log(about);
  for (const name of names) {
    context.progress(`${name} …`);
    const part = await measured(name, context);
    await stopAll();
    parts.push(part);
    if (!flags.json) printPart(part);
  }
  if (flags.json) console.log(JSON.stringify({ about, parts }, undefined, 2));
  else printGoals(parts.flatMap(({ goals }) => goals));
  if (parts.some(({ failed }) => failed === true)) process.exitCode = 1;
}

/** A part that fails, such as for want of a program, does not take the others with it. */
async function measured(name: string, context: Context): Promise<Part> {
  try {
    return await (ALL_PARTS[name] as (typeof PARTS)[string])(context);
  } catch (error) {
    const note = `FAILED: ${error instanceof Error ? error.message : String(error)}`;
    return { title: name, tables: [], goals: [], notes: [note], failed: true };
  }
}

async function main(): Promise<void> {
  const unknown = positionals.find((name) => !Object.hasOwn(ALL_PARTS, name));
  if (unknown !== undefined) throw new Error(`there is no part ${unknown}\n${USAGE}`);
  const tempDir = mkdtempSync(join(tmpdir(), 'breakwater-bench-'));
  chmodSync(tempDir, 0o755); // a server that drops its privileges must still read its files
  process.once('exit', () => {
    killAll();
    rmSync(tempDir, { recursive: true, force: true });
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => process.exit(130));
  try {
    await measure(positionals.length > 0 ? positionals : Object.keys(PARTS), {
      quick: flags.quick,
      fromSource: flags['from-source'],
      tempDir,
      only: flags.only?.toLowerCase().split(','),
      priority: flags.priority,
      rounds: flags.rounds === undefined ? undefined : Number(flags.rounds),
      builds: flags.builds?.split(',') ?? [],
      calls: flags.calls === undefined ? undefined : Number(flags.calls),
      progress: (text) => void process.stderr.write(`${text}\n`),
    });
  } finally {
    await stopAll();
  }
}

if (flags.help) console.log(USAGE);
else await main();
