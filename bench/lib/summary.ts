import { BARE, BREAKWATER, HTTP_PROXY_3 } from './contenders.ts';
import type { Sample } from './rounds.ts';
import { median } from './stats.ts';

/** Medians over the rounds for one contender and one scenario. */
export interface Cell {
  readonly contender: string;
  readonly scenario: string;
  readonly rounds: number;
  readonly cpuMicros: number;
  /** Median of the rounds' ratios to the yardstick, each taken within one round. */
  readonly ratio: number;
  readonly addedP50Ms: number;
  readonly addedP99Ms: number;
  readonly requestsPerSecond: number;
  readonly failures: number;
  readonly reconnects: number;
}

export interface Footprint {
  readonly contender: string;
  readonly listeningMs: number;
  readonly idleMiB: number;
  readonly loadedMiB: number;
}

export interface Goal {
  readonly what: string;
  readonly limit: number;
  readonly measured: number;
  readonly met: boolean;
}

export function summarize(samples: readonly Sample[]): Cell[] {
  const groups = Map.groupBy(samples, (sample) => `${sample.scenario}\n${sample.contender}`);
  return [...groups.values()].map((group) => {
    const { contender, scenario } = group[0] as Sample;
    const yardstick = samplesOf(samples, scenario, BARE);
    const middle = (value: (sample: Sample) => number): number => median(group.map(value));
    return {
      contender,
      scenario,
      rounds: group.length,
      cpuMicros: middle((sample) => sample.cpuMicros),
      ratio: median(group.map((sample, round) => sample.cpuMicros / (yardstick[round]?.cpuMicros ?? NaN))),
      addedP50Ms: middle((sample) => sample.addedP50Ms),
      addedP99Ms: middle((sample) => sample.addedP99Ms),
      requestsPerSecond: middle((sample) => sample.requestsPerSecond),
      failures: group.reduce((sum, sample) => sum + sample.failures, 0),
      reconnects: group.reduce((sum, sample) => sum + sample.reconnects, 0),
    };
  });
}

function samplesOf(samples: readonly Sample[], scenario: string, contender: string): Sample[] {
  return samples.filter((sample) => sample.scenario === scenario && sample.contender === contender);
}

/** Breakwater against the goals that it has set itself; none when it did not run. */
export function judge(cells: readonly Cell[], footprints: readonly Footprint[]): Goal[] {
  const goals: Goal[] = [];
  const goal = (what: string, measured: number, limit: number): void => {
    goals.push({ what, limit, measured, met: measured <= limit });
  };
  for (const cell of cells.filter(({ contender }) => contender === BREAKWATER)) {
    goal(`${cell.scenario}: CPU, × ${BARE}`, cell.ratio, 1.3);
    const peer = cells.find((c) => c.scenario === cell.scenario && c.contender === HTTP_PROXY_3);
    if (peer !== undefined) goal(`${cell.scenario}: CPU, × ${HTTP_PROXY_3}`, cell.ratio / peer.ratio, 0.7);
  }
  const footprint = footprints.find(({ contender }) => contender === BREAKWATER);
  if (footprint !== undefined) {
    goal('resident after start, MiB', footprint.idleMiB, 80);
    goal('listening after, ms', footprint.listeningMs, 400);
  }
  return goals;
}
