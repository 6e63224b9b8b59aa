import { BARE, BREAKWATER, HTTP_PROXY_3 } from './contenders.ts';
import type { Sample } from './rounds.ts';
import { median, percentile } from './stats.ts';

/** Medians over the rounds for one contender and one scenario. */
export interface Cell {
  readonly contender: string;
  readonly scenario: string;
  readonly rounds: number;
  readonly cpuMicros: number;
  /** Median over the rounds of the ratio to the baseline in the same round. */
  readonly ratio: number;
  /** Quartiles of these ratios, which show the precision. */
  readonly ratioQuartiles: readonly [number, number];
  readonly addedP50Ms: number;
  readonly addedP99Ms: number;
  readonly requestsPerSecond: number;
  readonly failures: number;
  readonly reconnects: number;
}

export interface Footprint {
  readonly contender: string;
  readonly listeningMs: number;
  /** Resident memory in MB (10⁶ bytes), idle after the start and after the last round. */
  readonly idleMb: number;
  readonly loadedMb: number;
}

export interface Goal {
  readonly what: string;
  readonly limit: number;
  readonly measured: number;
  /** `unclear`: the quartiles of the rounds lie on both sides of the limit. */
  readonly result: 'met' | 'MISSED' | 'unclear' | 'FAILED';
}

export function summarize(samples: readonly Sample[]): Cell[] {
  const groups = Map.groupBy(samples, (sample) => `${sample.scenario}\n${sample.contender}`);
  return [...groups.values()].map((group) => {
    const { contender, scenario } = group[0] as Sample;
    const baseline = samplesOf(samples, scenario, BARE);
    const middle = (value: (sample: Sample) => number): number => median(group.map(value));
    const ratios = group.map((sample, round) => sample.cpuMicros / (baseline[round]?.cpuMicros ?? NaN));
    return {
      contender,
      scenario,
      rounds: group.length,
      cpuMicros: middle((sample) => sample.cpuMicros),
      ratio: median(ratios),
      ratioQuartiles: [percentile(ratios, 0.25), percentile(ratios, 0.75)],
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

/** The goals of Breakwater and their results; empty if it did not run. */
export function goalsOf(cells: readonly Cell[], footprints: readonly Footprint[]): Goal[] {
  const goals: Goal[] = [];
  const failed = cells.some(({ contender, failures }) => contender === BREAKWATER && failures > 0);
  const goal = (what: string, values: readonly number[], limit: number): void => {
    const result = failed ? 'FAILED' : resultOf(values, limit);
    goals.push({ what, limit, measured: median(values), result });
  };
  for (const cell of cells.filter(({ contender }) => contender === BREAKWATER)) {
    goal(`${cell.scenario}: CPU, × ${BARE}`, [...cell.ratioQuartiles, cell.ratio], 1.3);
    const peer = cells.find((c) => c.scenario === cell.scenario && c.contender === HTTP_PROXY_3);
    if (peer === undefined) continue;
    const against = [...cell.ratioQuartiles, cell.ratio].map((ratio) => ratio / peer.ratio);
    goal(`${cell.scenario}: CPU, × ${HTTP_PROXY_3}`, against, 0.7);
  }
  const footprint = footprints.find(({ contender }) => contender === BREAKWATER);
  if (footprint !== undefined) {
    goal('resident after start, MB', [footprint.idleMb], 80);
    goal('listening after, ms', [footprint.listeningMs], 400);
  }
  return goals;
}

function resultOf(values: readonly number[], limit: number): Goal['result'] {
  if (values.every((value) => value <= limit)) return 'met';
  return values.some((value) => value <= limit) ? 'unclear' : 'MISSED';
}
