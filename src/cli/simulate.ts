import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { type Parsed, parseDuration } from '../config/fields/units.ts';
import { simulationReport } from '../simulate/report.ts';
import { FAULT_WORDS, outageScenario, parseFault, type Scenario } from '../simulate/scenario.ts';
import type { Subject } from '../simulate/sidecar.ts';
import { svgChart } from '../simulate/svg.ts';
import { CONFIG_OPTION, loadFor, printProblems, readArgs } from './args.ts';
import type { Command, Io } from './io.ts';
import { describeSimulation } from './simulate-text.ts';

/** The scenario if nothing else is asked for. */
export const SCENARIO: ScenarioValues = {
  fault: 'outage',
  for: '20s',
  rps: '80',
  callers: '1',
  latency: '100ms',
  seed: '1',
};

const USAGE = {
  text: `Usage: breakwater simulate UPSTREAM [--fault WHAT] [--for 20s] [--rps 80] [options]

Shows what the configuration does while UPSTREAM fails: the real policies, in virtual time, against a simulated
upstream. The run has a minute without a fault, the fault, and three minutes after it. The built-in defaults are shown
for comparison. The same seed gives the same result. A route with stream is answered with event streams.
Each target of the upstream is simulated, with its own quota and the breaker of its host.

      --fault WHAT      ${FAULT_WORDS.join(' | ')} (default ${SCENARIO.fault})
      --for TIME        how long the fault lasts (default ${SCENARIO.for})
      --rps NUMBER      requests per second of all callers together (default ${SCENARIO.rps})
      --callers N       number of proxies that share the upstream and the load (default ${SCENARIO.callers})
      --capacity RPS    requests per second that the upstream, or each of its targets, can serve (default rps / 0.8)
      --target NAME     only this target fails; with a fault of its host, all targets of that host (default: all targets)
      --latency TIME    mean time of the upstream for a request (default ${SCENARIO.latency})
      --route NAME      a route of the upstream (default: default, the route for all other calls)
      --seed N          seed of all random events (default ${SCENARIO.seed})
  -c, --config FILE     the configuration (default config.yaml)
      --json            print JSON
      --svg FILE        also write a chart
  -h, --help            this text

Exit codes: 0 success, 1 unknown upstream, route or target, or the configuration has problems, 2 wrong usage.
`,
  options: {
    ...CONFIG_OPTION,
    fault: { type: 'string', default: SCENARIO.fault },
    for: { type: 'string', default: SCENARIO.for },
    rps: { type: 'string', default: SCENARIO.rps },
    callers: { type: 'string', default: SCENARIO.callers },
    capacity: { type: 'string' },
    target: { type: 'string' },
    latency: { type: 'string', default: SCENARIO.latency },
    route: { type: 'string', default: 'default' },
    seed: { type: 'string', default: SCENARIO.seed },
    json: { type: 'boolean', default: false },
    svg: { type: 'string' },
  },
  words: ['UPSTREAM'],
} as const;

/** `breakwater simulate`: simulates an outage of an upstream with the user's configuration. */
export const simulate: Command = async (args, io) => {
  const called = readArgs(args, USAGE, io);
  if ('exit' in called) return called.exit;
  const { config: file, route, target, json, svg } = called.values;
  const scenario = scenarioOf(called.values);
  if (typeof scenario === 'string') {
    io.err(`breakwater: ${scenario}\n\n${USAGE.text}`);
    return 2;
  }
  const loaded = loadFor(io, file);
  if (!loaded.ok) {
    printProblems(loaded.problems, io);
    return 1;
  }
  const subject = subjectOf(loaded.config, { upstream: called.words[0] ?? '', route, target });
  if (typeof subject === 'string') {
    io.err(`${subject}\n`);
    return 1;
  }
  const report = await simulationReport(subject, scenario);
  for (const warning of report.warnings) io.err(`warning: ${warning}\n`);
  io.out(json ? `${JSON.stringify(report, null, 2)}\n` : describeSimulation(report));
  return svg === undefined ? 0 : write(io, svg, svgChart(report));
};

function write(io: Io, file: string, text: string): number {
  try {
    writeFileSync(resolve(io.cwd, file), text);
    return 0;
  } catch (error) {
    io.err(`cannot write ${file}: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

/** The subject of a simulation, or a text that says what does not exist. `target`: the only one that fails. */
export function subjectOf(
  { upstreams }: Config,
  names: { readonly upstream: string; readonly route: string; readonly target?: string | undefined },
): Subject | string {
  const upstream = upstreams.find(({ name }) => name === names.upstream);
  if (upstream === undefined)
    return `there is no upstream "${names.upstream}"; write one of ${listed(upstreams)}`;
  const route = upstream.routes.find(({ name }) => name === names.route);
  if (route === undefined)
    return `${upstream.name} has no route "${names.route}"; write one of ${listed(upstream.routes)}`;
  if (names.target === undefined || names.target === '') return { upstream, route };
  const { targets = [] } = upstream;
  const failing = targets.find(({ name }) => name === names.target);
  if (failing !== undefined) return { upstream, route, failing };
  const fix = targets.length === 0 ? 'it has no targets' : `write one of ${listed(targets)}`;
  return `${upstream.name} has no target "${names.target}"; ${fix}`;
}

const listed = (all: readonly { readonly name: string }[]): string => all.map(({ name }) => name).join(', ');

/** More calls would take minutes and gigabytes. A tenth of rate and capacity gives the same picture. */
const MAX_CALLS = 2_000_000;

export type ScenarioValues = Readonly<
  Record<'fault' | 'for' | 'rps' | 'callers' | 'latency' | 'seed', string>
> & {
  readonly capacity?: string | undefined;
};

/** The scenario, or the problem of the options. */
export function scenarioOf(values: ScenarioValues, mostCalls = MAX_CALLS): Scenario | string {
  const fault = parseFault(values.fault);
  if (fault === undefined) return `--fault ${values.fault}: write one of ${FAULT_WORDS.join(', ')}`;
  const faultMs = parseDuration(values.for);
  const serviceMs = parseDuration(values.latency);
  const rps = parseNumber(values.rps, 0.001, 100_000);
  const capacity = values.capacity === undefined ? rps : parseNumber(values.capacity, 0.001, 1_000_000);
  const callers = parseNumber(values.callers, 1, 10_000, true);
  const seed = parseNumber(values.seed, 0, 2 ** 32 - 1, true);
  const problem = firstProblem({ for: faultMs, latency: serviceMs, rps, capacity, callers, seed });
  if (problem !== undefined) return problem;
  const ratePerSecond = valueOf(rps);
  const scenario = outageScenario(fault, {
    faultMs: valueOf(faultMs),
    ratePerSecond,
    capacityPerSecond: values.capacity === undefined ? ratePerSecond / 0.8 : valueOf(capacity),
    serviceMs: valueOf(serviceMs),
    callers: valueOf(callers),
    seed: valueOf(seed),
  });
  if (scenario.faultMs <= 0 || scenario.serviceMs <= 0) return '--for and --latency must be more than 0';
  if ((scenario.endMs / 1_000) * ratePerSecond > mostCalls) {
    return `more than ${mostCalls} calls; lower --rps and --capacity by the same factor, which gives the same picture, or shorten --for`;
  }
  return scenario;
}

function firstProblem(options: Readonly<Record<string, Parsed<number>>>): string | undefined {
  for (const [name, parsed] of Object.entries(options))
    if ('problem' in parsed) return `--${name}: ${parsed.problem}`;
  return undefined;
}

function valueOf(parsed: Parsed<number>): number {
  return 'value' in parsed ? parsed.value : Number.NaN;
}

function parseNumber(text: string, least: number, most: number, whole = false): Parsed<number> {
  const value = Number(text);
  const fits = text.trim() !== '' && value >= least && value <= most && (!whole || Number.isInteger(value));
  return fits
    ? { value }
    : { problem: `"${text}" is not a ${whole ? 'whole ' : ''}number from ${least} to ${most}` };
}
