/**
 * `node bench/outage/fleet.ts [--seed N]`: replicas at a provider with one quota for all, in virtual time. Compares Breakwater with
 * `shared`, the same without it, and a limiter that asks Redis for each call.
 */
import { parseArgs } from 'node:util';
import { fleetFigures } from './fleet/figures.ts';
import { FLEET_GATES } from './fleet/gates.ts';
import { simulateFleet, type Way } from './fleet/run.ts';

const WAYS: readonly (readonly [name: string, way: Way])[] = [
  ['without `shared`', 'alone'],
  ['a counter per call', 'per call'],
  ['Breakwater with `shared`', 'shared'],
];

const { values } = parseArgs({ options: { seed: { type: 'string', default: '1' } } });
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

for (const gate of FLEET_GATES) {
  console.log(
    `\n| ${gate.name} | most in a second | used | … away | success | 429 | refused | p99, ms | requests per 1 000 |`,
  );
  console.log('|---|--:|--:|--:|--:|--:|--:|--:|--:|');
  for (const [name, way] of WAYS) {
    const figures = fleetFigures(await simulateFleet(way, gate, Number(values.seed)));
    const cells = [
      String(figures.most),
      percent(figures.used),
      percent(figures.usedAway),
      percent(figures.success),
      percent(figures.limited),
      percent(figures.refused),
      figures.p99Ms.toFixed(0),
      figures.requests.toFixed(0),
    ];
    console.log(`| ${name} | ${cells.join(' | ')} |`);
  }
}
