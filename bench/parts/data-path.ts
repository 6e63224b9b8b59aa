import type { Context } from '../lib/context.ts';
import { BARE, BREAKWATER, CADDY, NODE_PEERS, taking } from '../lib/contenders.ts';
import { startOrigin } from '../lib/origin.ts';
import { residentBytes } from '../lib/proc.ts';
import { atMost, type Goal, type Part, type Table } from '../lib/report.ts';
import { type Plan, runRounds, warmUp } from '../lib/rounds.ts';
import { SCENARIOS } from '../lib/scenarios.ts';
import { startAll } from '../lib/startup.ts';
import { type Cell, summarize } from '../lib/summary.ts';
import { verify } from '../lib/verify.ts';

/** Maximum CPU per request, × that of the bare dispatch proxy. */
export const LIMITS: Readonly<Record<string, number>> = {
  'GET 1 KiB': 1.15,
  'GET 64 KiB': 1.1,
  'POST 1 KiB': 1.2,
  'POST 64 KiB': 1.1,
};

/** CPU time per request of every contender, by kind of request. */
export async function dataPath(context: Context): Promise<Part> {
  const { quick } = context;
  const plan: Plan = {
    scenarios: SCENARIOS,
    rounds: context.rounds ?? (quick ? 5 : 20),
    limitMs: quick ? 45_000 : 160_000,
    scale: quick ? 0.5 : 1,
  };
  const { present, absent } = taking(context);
  const originPort = await startOrigin();
  const started = await startAll(present, originPort);
  for (const { running } of started) {
    for (const scenario of plan.scenarios) await verify(running.port, scenario);
  }
  context.progress('warming up');
  const begunAt = performance.now();
  const warmUpPasses = await warmUp(started, plan, originPort);
  context.progress(`up to ${plan.rounds} rounds`);
  const samples = await runRounds(started, plan, originPort, plan.limitMs - (performance.now() - begunAt));
  const cells = summarize(samples);
  const rounds = Math.min(...cells.map((cell) => cell.rounds));
  const resident = started.map(
    ({ name, running }) => `${name} ${(residentBytes(running.pid) / 1e6).toFixed(0)}`,
  );
  return {
    title: 'CPU per request',
    tables: [...Map.groupBy(cells, (cell) => cell.scenario)].map(([name, group]) =>
      scenarioTable(name, group),
    ),
    goals: goalsOf(cells),
    notes: [
      `CPU of the proxy's own processes, 32 connections, ${rounds} rounds after ${warmUpPasses} warm-up passes.`,
      `Resident after all rounds, MB: ${resident.join(', ')}.`,
      ...absent,
    ],
    failed: cells.some(({ failures }) => failures > 0),
  };
}

function scenarioTable(scenario: string, cells: readonly Cell[]): Table {
  const rows = cells
    .toSorted((a, b) => a.ratio - b.ratio)
    .map((cell) => [
      cell.failures === 0 ? cell.contender : `${cell.contender} (${cell.failures} FAILED)`,
      cell.ratio.toFixed(2),
      cell.ratioQuartiles.map((ratio) => ratio.toFixed(2)).join('–'),
      cell.ratioOfMinima.toFixed(2),
      cell.cpuMicros.toFixed(1),
      cell.cpuMinimum.toFixed(1),
      cell.requestsPerSecond.toFixed(0),
      String(cell.reconnects),
    ]);
  return {
    head: [scenario, 'ratio', 'quartiles', 'of minima', 'CPU µs', 'minimum', 'req/s', 'reconnects'],
    rows,
  };
}

/** The goals of Breakwater; empty if it did not run. */
function goalsOf(cells: readonly Cell[]): Goal[] {
  return cells
    .filter(({ contender }) => contender === BREAKWATER)
    .flatMap((ours) => {
      const { scenario, ratio, ratioQuartiles, ratioOfMinima } = ours;
      const against = (peer: string): Goal[] => {
        const theirs = cells.find((cell) => cell.scenario === scenario && cell.contender === peer);
        return theirs === undefined
          ? []
          : [
              atMost(`${scenario}: CPU, × ${peer}`, ratio / theirs.ratio, 1, [
                ratioOfMinima / theirs.ratioOfMinima,
              ]),
            ];
      };
      return [
        atMost(`${scenario}: CPU, × ${BARE}`, ratio, LIMITS[scenario] ?? NaN, ratioQuartiles),
        ...NODE_PEERS.flatMap(against),
        ...(scenario.endsWith(' 1 KiB') ? against(CADDY) : []),
      ];
    });
}
