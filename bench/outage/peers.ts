import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { killAll, stopAll } from '../lib/process.ts';
import { chart } from './peers/chart.ts';
import { ATTEMPT_TIMEOUT_MS } from './peers/contender.ts';
import { TARGET_CONTENDERS, TARGETS } from './peers/contenders/targets.ts';
import { type Plan, plans, situations, targetPlans, warmUp } from './peers/plan.ts';
import { resultOf } from './peers/result.ts';
import { Stand } from './peers/stand.ts';
import {
  headlineTable,
  type Measured,
  scenarioTable,
  settingsTable,
  situationTable,
} from './peers/tables.ts';
import type { TargetFigures } from './targets/figures.ts';
import { targetTable } from './targets/table.ts';

const USAGE = `node bench/outage/peers.ts [options]
  --quick           shorter times (three minutes); not for publishing
  --only A,B        only these contenders
  --targets         an upstream of two hosts, of which one fails, in place of the other scenarios
  --scenario A,B    only these of brownout, outage, blackhole, flaky, one-503, few-503, half, hang, burst
  --seed N          default 1
  --trigger S       seconds of brownout, outage and blackhole instead of 10
  --json FILE       everything that was measured
  --from FILE       measure nothing, take what --json wrote
  --charts DIR      write a chart for each scenario
  --publish         replace the tables in bench/outage/README.md and its charts (not if the machine was too busy)`;

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    targets: { type: 'boolean', default: false },
    only: { type: 'string' },
    scenario: { type: 'string' },
    seed: { type: 'string', default: '1' },
    trigger: { type: 'string' },
    json: { type: 'string' },
    from: { type: 'string' },
    charts: { type: 'string' },
    publish: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

/** A run that takes longer hangs. */
const LIMIT_MS = 720_000;
const HEAD_START_MS = 1_000;
/** The allowed delay of the load process. Beyond a quarter of the attempt timeout, it would itself disturb the result. */
const LATE_MS = ATTEMPT_TIMEOUT_MS / 4;
const README = fileURLToPath(new URL('README.md', import.meta.url));
/** All programs and libraries that this run compares. The libraries are installed in bench/peers; targets need none of them. */
const ALL = flags.targets ? TARGET_CONTENDERS : (await import('./peers/contenders/all.ts')).CONTENDERS;
const CHARTS = fileURLToPath(new URL('charts/', import.meta.url));

const wanted = (list: string | undefined, name: string): boolean =>
  list === undefined || list.split(',').includes(name);
const progress = (text: string): unknown => process.stderr.write(`${text}\n`);

interface Report {
  readonly about: string;
  readonly measured: readonly Measured[];
}

async function measure(stands: readonly Stand[], plan: Plan, dir: string): Promise<Measured> {
  const { scenario } = plan;
  const runs = await Promise.all(stands.map((stand) => stand.prepare(dir)));
  progress(`${plan.name}: ${scenario.endMs / 1_000} s`);
  const begin = { scenario, startAt: Date.now() + HEAD_START_MS };
  const observed = await Promise.all(runs.map((run) => run(begin)));
  const results = observed.map((one, i) => resultOf(plan, (stands[i] as Stand).contender, one));
  return { plan, results };
}

async function measureAll(dir: string): Promise<Measured[]> {
  const present = ALL.filter(({ name, version }) => wanted(flags.only, name) && version() !== undefined);
  progress(`starting ${present.map(({ name }) => name).join(', ')}`);
  const stands = await Promise.all(
    present.map((one) => Stand.open(one, flags.targets ? TARGETS : undefined)),
  );
  try {
    await measure(stands, warmUp(Number(flags.seed)), dir);
    const measured: Measured[] = [];
    const triggerMs = flags.trigger === undefined ? undefined : 1_000 * Number(flags.trigger);
    const seed = Number(flags.seed);
    const all = flags.targets
      ? targetPlans(flags.quick, seed)
      : [...plans(flags.quick, seed, triggerMs), ...situations(flags.quick, seed)];
    for (const plan of all) {
      if (wanted(flags.scenario, plan.name)) measured.push(await measure(stands, plan, dir));
    }
    return measured;
  } finally {
    await Promise.all(stands.map((stand) => stand.close()));
  }
}

function report({ about, measured }: Report): string {
  const names = new Set(measured.flatMap(({ results }) => results.map(({ contender }) => contender)));
  const contenders = ALL.filter(({ name }) => names.has(name));
  const absent = ALL.filter(({ version }) => version() === undefined).map(({ name }) => name);
  return [
    about,
    ...(absent.length === 0 ? [] : [`Not installed: ${absent.join(', ')}.`]),
    ...measured.filter(isOfTargets).map(({ plan, results }) =>
      targetTable(
        plan.name,
        results.map(({ contender, targets }) => [contender, targets as TargetFigures]),
      ),
    ),
    ...(measured.some(isFault) ? [headlineTable(measured, contenders)] : []),
    ...(measured.every((one) => isFault(one) || isOfTargets(one))
      ? []
      : [situationTable(measured, contenders)]),
    ...measured.filter(isFault).map(scenarioTable),
    settingsTable(contenders),
  ].join('\n\n');
}

const isOfTargets = ({ plan }: Measured): boolean => plan.scenario.targets !== undefined;
const isFault = (one: Measured): boolean => one.plan.situation === undefined && !isOfTargets(one);

function about(measured: readonly Measured[], loadBefore: number): string {
  const commit = execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim();
  const { p99Ms, maxMs } = lateness(measured);
  return [
    `${new Date().toISOString().slice(0, 10)}, commit ${commit}, Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model.trim()}, seed ${flags.seed}${flags.quick ? ', --quick' : ''}.`,
    `Load average before: ${loadBefore.toFixed(1)}.`,
    `The latest of the load processes sent 99 % of its requests within ${p99Ms.toFixed(0)} ms of their time, and all within ${maxMs.toFixed(0)} ms.`,
    ...(p99Ms > LATE_MS
      ? [`**That is too late: this machine was busy, do not believe these figures.**`]
      : []),
  ].join('\n');
}

function lateness(measured: readonly Measured[]): { p99Ms: number; maxMs: number } {
  const all = measured.flatMap(({ results }) => results);
  return {
    p99Ms: Math.max(...all.map(({ lagP99Ms }) => lagP99Ms)),
    maxMs: Math.max(...all.map(({ lagMaxMs }) => lagMaxMs)),
  };
}

function writeCharts(measured: readonly Measured[], dir: string): void {
  mkdirSync(dir, { recursive: true });
  for (const one of measured.filter(isFault)) writeFileSync(join(dir, `${one.plan.name}.svg`), chart(one));
}

function publish(text: string): void {
  const readme = readFileSync(README, 'utf8');
  const what = flags.targets ? 'target peers' : 'peers';
  const [begin, end] = [`<!-- ${what}: begin -->`, `<!-- ${what}: end -->`];
  const [before, rest] = readme.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`README.md has no ${begin} … ${end}`);
  writeFileSync(README, `${before}${begin}\n\n${text}\n\n${end}${after}`);
}

async function run(): Promise<Report> {
  process.once('exit', killAll);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  setTimeout(() => {
    progress(`not done after ${LIMIT_MS / 1_000} s`);
    process.exit(1);
  }, LIMIT_MS).unref();
  const loadBefore = loadavg()[0] ?? 0;
  const dir = mkdtempSync(join(tmpdir(), 'outage-peers-'));
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
  try {
    const measured = await measureAll(dir);
    return { about: about(measured, loadBefore), measured };
  } finally {
    await stopAll();
  }
}

async function main(): Promise<void> {
  const { from } = flags;
  const all = from === undefined ? await run() : (JSON.parse(readFileSync(from, 'utf8')) as Report);
  const text = report(all);
  console.log(text);
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(all, null, 1)}\n`);
  if (flags.charts !== undefined) writeCharts(all.measured, flags.charts);
  if (lateness(all.measured).p99Ms > LATE_MS) process.exitCode = 2;
  else if (flags.publish) {
    writeCharts(all.measured, CHARTS);
    publish(text);
  }
}

if (flags.help) console.log(USAGE);
else await main();
