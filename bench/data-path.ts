import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BARE, type Contender, contenders, PROTOTYPE, startOrigin } from './lib/contenders.ts';
import { residentBytes } from './lib/proc.ts';
import { freePort, killAll, stopAll } from './lib/process.ts';
import { type Plan, runRounds, warmUp } from './lib/rounds.ts';
import { SCENARIOS } from './lib/scenarios.ts';
import { startAll } from './lib/startup.ts';
import { type Cell, type Footprint, type Goal, goalsOf, summarize } from './lib/summary.ts';
import { footprintTable, goalTable, scenarioTable } from './lib/table.ts';
import { verify } from './lib/verify.ts';

const USAGE = `npm run bench -- [options]
  --quick         a quarter of the rounds and half of the requests
  --json          one JSON document on stdout instead of tables
  --only A,B      only these contenders (the baseline always runs)
  --rounds N      default 20
  --from-source   run Breakwater from src/ instead of dist/`;

const MB = 1_000_000;

interface Report {
  readonly date: string;
  readonly node: string;
  readonly cpu: string;
  readonly commit: string;
  /** Load average before the start. A value well above 0 widens the quartiles. */
  readonly loadBefore: number;
  readonly warmUpPasses: number;
  readonly rounds: number;
  readonly absent: readonly string[];
  readonly cells: readonly Cell[];
  readonly footprints: readonly Footprint[];
  readonly goals: readonly Goal[];
}

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    'from-source': { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const progress = (text: string): unknown => process.stderr.write(`${text}\n`);

async function measure(tempDir: string): Promise<Report> {
  const about = machine();
  const plan: Plan = {
    scenarios: SCENARIOS,
    rounds: Number(flags.rounds ?? (flags.quick ? 5 : 20)),
    limitMs: flags.quick ? 35_000 : 190_000,
    scale: flags.quick ? 0.5 : 1,
  };
  const all = contenders(tempDir, flags['from-source']).filter(wanted);
  const present = all.filter(({ missing }) => missing === undefined);
  const originPort = await freePort();
  await startOrigin(originPort);
  progress(`starting ${present.map(({ name }) => name).join(', ')}`);
  const started = await startAll(present, originPort, flags.quick ? 3 : 5);
  for (const { running } of started) {
    for (const scenario of plan.scenarios) await verify(running.port, scenario);
  }
  progress('warming up');
  const begunAt = performance.now();
  const warmUpPasses = await warmUp(started, plan, originPort);
  progress(`up to ${plan.rounds} rounds`);
  const leftMs = plan.limitMs - (performance.now() - begunAt);
  const samples = await runRounds(started, plan, originPort, leftMs);
  const cells = summarize(samples);
  const footprints = started.map(({ name, running, listeningMs, idleBytes }) => ({
    contender: name,
    listeningMs,
    idleMb: idleBytes / MB,
    loadedMb: residentBytes(running.pid) / MB,
  }));
  const absent = all.flatMap(({ name, missing }) => (missing === undefined ? [] : [`${name}: ${missing}`]));
  const rounds = Math.min(...cells.map((cell) => cell.rounds));
  return { ...about, warmUpPasses, rounds, absent, cells, footprints, goals: goalsOf(cells, footprints) };
}

function wanted({ name }: Contender): boolean {
  const only = flags.only?.toLowerCase().split(',');
  if (only === undefined) return name !== PROTOTYPE;
  return name === BARE || only.includes(name.toLowerCase());
}

function machine(): Pick<Report, 'date' | 'node' | 'cpu' | 'commit' | 'loadBefore'> {
  const model = cpus()[0]?.model ?? 'unknown';
  return {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cpu: `${cpus().length} × ${model}`,
    commit: execFileSync('git', ['describe', '--always', '--dirty'], { cwd: import.meta.dirname })
      .toString()
      .trim(),
    loadBefore: loadavg()[0] ?? NaN,
  };
}

function print(report: Report): void {
  const { date, node, cpu, commit, loadBefore, rounds, warmUpPasses } = report;
  console.log(`\n${date} · Node ${node} · ${cpu} · commit ${commit}`);
  console.log(
    `${rounds} rounds after ${warmUpPasses} warm-up passes; load average before: ${loadBefore.toFixed(1)}`,
  );
  console.log(
    'CPU: proxy processes only, per request, 32 connections. Latency: one connection, minus direct.\n',
  );
  for (const [scenario, cells] of Map.groupBy(report.cells, (cell) => cell.scenario)) {
    const order = cells.toSorted((a, b) => a.ratio - b.ratio);
    console.log(`${scenarioTable(scenario, order)}\n`);
  }
  console.log(`${footprintTable(report.footprints)}\n`);
  if (report.goals.length > 0) console.log(`${goalTable(report.goals)}\n`);
  for (const reason of report.absent) console.log(`not measured: ${reason}`);
}

async function main(): Promise<void> {
  const tempDir = mkdtempSync(join(tmpdir(), 'breakwater-bench-'));
  chmodSync(tempDir, 0o755); // a server that drops its privileges must still read its files
  process.once('exit', () => {
    killAll();
    rmSync(tempDir, { recursive: true, force: true });
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => process.exit(130));
  try {
    const report = await measure(tempDir);
    if (flags.json) console.log(JSON.stringify(report, undefined, 2));
    else print(report);
    if (report.cells.some(({ failures }) => failures > 0)) process.exitCode = 1;
  } finally {
    await stopAll();
  }
}

if (flags.help) console.log(USAGE);
else await main();
