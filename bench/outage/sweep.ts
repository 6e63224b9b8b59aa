/**
 * `node bench/outage/sweep.ts [--seed N] [--count N]`: random combinations of fault, load and settings, with and without
 * Breakwater. Prints the ten worst; `--seed` of one with `--count 1` repeats it. Ends with 1 if a case exceeds its bounds
 * and no exception explains it.
 */
import { parseArgs } from 'node:util';
import { runSeed, type SeedResult } from './sweep/run-seed.ts';

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, count: { type: 'string', default: '500' } },
});
const [first, count] = [Number(values.seed), Number(values.count)];
const SHOWN = 10;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function described({
  drawn,
  ours,
  direct,
  pointsBelow,
  attempts,
  bound,
  holds,
  exception,
}: SeedResult): string {
  const { scenario, settings, systemic, seed } = drawn;
  const { endpoints = [], clients, faultAtMs, faultMs, ratePerSecond, capacityPerSecond, callers } = scenario;
  const load = `${ratePerSecond}/s of ${capacityPerSecond.toFixed(1)}/s from ${callers}, clients ${JSON.stringify(clients)}`;
  const troubles = endpoints.map(
    ({ method, path, troubles: all, weight }) =>
      `\n      ${method} ${path} ×${weight}: ${JSON.stringify(all)}`,
  );
  return `${holds ? 'ok  ' : 'OUT '}  seed ${seed}: ${percent(ours)}, direct ${percent(direct)}: ${pointsBelow.toFixed(1)} points below; ${attempts} attempts, at most ${bound}
      ${settings === '' ? 'plain' : settings}; ${load}; service ${JSON.stringify(endpoints[0]?.service)}
      from ${faultAtMs / 1_000} s for ${faultMs / 1_000} s${systemic ? ', systemic' : ''}${troubles.join('')}${exception === undefined ? '' : `\n      exception: ${exception}`}`;
}

const results: SeedResult[] = [];
for (let seed = first; seed < first + count; seed++) results.push(await runSeed(seed));
/** Orders cases: unexplained ones first. */
const badness = ({ holds, pointsBelow }: SeedResult): number => pointsBelow + (holds ? 0 : 1_000);
const worst = results.toSorted((a, b) => badness(b) - badness(a)).slice(0, SHOWN);
for (const result of worst) console.log(described(result));
const explained = Map.groupBy(
  results.filter(({ exception }) => exception !== undefined),
  ({ exception }) => exception,
);
for (const [exception, all] of explained) console.log(`${all.length} by exception: ${exception}`);
const out = results.filter(({ holds }) => !holds).length;
const gained = results.reduce((sum, { pointsBelow }) => sum - pointsBelow, 0) / results.length;
console.log(
  `${out} of ${count} out of bounds without an explanation; on the average ${gained.toFixed(1)} points above no proxy`,
);
process.exitCode = out === 0 ? 0 : 1;
