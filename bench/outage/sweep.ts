/**
 * `node bench/outage/sweep.ts [--seed N] [--count N]`: random combinations of fault, load and settings, each with Breakwater and
 * without it. Prints the worst ten; `--seed` of one with `--count 1` runs it again. Ends with 1 if any is out of its bounds.
 */
import { parseArgs } from 'node:util';
import { judgeSeed, type Verdict } from './sweep/judge.ts';

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, count: { type: 'string', default: '500' } },
});
const [first, count] = [Number(values.seed), Number(values.count)];
const SHOWN = 10;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function described({ drawn, ours, direct, pointsBelow, attempts, bound, holds }: Verdict): string {
  const { scenario, settings, systemic, seed } = drawn;
  const { endpoints = [], clients, faultAtMs, faultMs, ratePerSecond, capacityPerSecond, callers } = scenario;
  const load = `${ratePerSecond}/s of ${capacityPerSecond.toFixed(1)}/s from ${callers}, clients ${JSON.stringify(clients)}`;
  const troubles = endpoints.map(
    ({ method, path, troubles: all, weight }) =>
      `\n      ${method} ${path} ×${weight}: ${JSON.stringify(all)}`,
  );
  return `${holds ? 'ok  ' : 'OUT '}  seed ${seed}: ${percent(ours)}, direct ${percent(direct)}: ${pointsBelow.toFixed(1)} points below; ${attempts} attempts, at most ${bound}
      ${settings === '' ? 'plain' : settings}; ${load}; service ${JSON.stringify(endpoints[0]?.service)}
      from ${faultAtMs / 1_000} s for ${faultMs / 1_000} s${systemic ? ', systemic' : ''}${troubles.join('')}`;
}

const verdicts: Verdict[] = [];
for (let seed = first; seed < first + count; seed++) verdicts.push(await judgeSeed(seed));
/** By how far one is out, whichever bound it is. */
const badness = ({ pointsBelow, attempts, bound }: Verdict): number =>
  Math.max(pointsBelow, attempts > bound ? 100 : 0);
const worst = verdicts.toSorted((a, b) => badness(b) - badness(a)).slice(0, SHOWN);
for (const verdict of worst) console.log(described(verdict));
const out = verdicts.filter(({ holds }) => !holds).length;
const gained = verdicts.reduce((sum, { pointsBelow }) => sum - pointsBelow, 0) / verdicts.length;
console.log(`${out} of ${count} out of bounds; on the average ${gained.toFixed(1)} points above no proxy`);
process.exitCode = out === 0 ? 0 : 1;
