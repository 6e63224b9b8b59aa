import { BARE } from './contenders.ts';
import type { Sample } from './rounds.ts';
import { median, quartiles } from './stats.ts';

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
  /** The least CPU time of a round, which other load of the machine changes least, and its ratio to that of the baseline. */
  readonly cpuMinimum: number;
  readonly ratioOfMinima: number;
  readonly requestsPerSecond: number;
  readonly failures: number;
  readonly reconnects: number;
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
      ratioQuartiles: quartiles(ratios),
      cpuMinimum: minimum(group),
      ratioOfMinima: minimum(group) / minimum(baseline),
      requestsPerSecond: middle((sample) => sample.requestsPerSecond),
      failures: group.reduce((sum, sample) => sum + sample.failures, 0),
      reconnects: group.reduce((sum, sample) => sum + sample.reconnects, 0),
    };
  });
}

function minimum(samples: readonly Sample[]): number {
  return Math.min(...samples.map(({ cpuMicros }) => cpuMicros));
}

function samplesOf(samples: readonly Sample[], scenario: string, contender: string): Sample[] {
  return samples.filter((sample) => sample.scenario === scenario && sample.contender === contender);
}
