/**
 * `node bench/outage/run.ts [--only A,B]`: RPB-1 and RPB-2 in virtual time for the shipped defaults. Ends with 1 if a gate is
 * broken; open bounds are reported and do not count. `--only`: rows of RPB-2 by their letters, `RPB-1`, `plain`, `streams`, `targets` or
 * `fleet`.
 */
import { parseArgs } from 'node:util';
import { FLEET_GATES, fleetReadings } from './fleet/gates.ts';
import { plainSubject, streamSubject, subjectWith } from './default-policy.ts';
import {
  EXTRA_GATES,
  GATES,
  type Gate,
  measure,
  PLAIN_GATES,
  type Reading,
  readings,
  SEEDS,
  STREAM_GATES,
} from './gates.ts';
import { OPEN, ROWS, readingsOf } from './rows.ts';
import { TARGET_GATES, targetReadings } from './targets/gates.ts';

interface Measured {
  readonly group: string;
  readonly name: string;
  readonly open: boolean;
  readonly measure: (seed: number) => Promise<Reading[]>;
}

const gate = (group: string, subject: ReturnType<typeof plainSubject>) => (one: Gate) => ({
  group,
  name: one.name,
  open: false,
  measure: async (seed: number) => readings(one.bounds, await measure(subject, one, seed)),
});

const all: readonly Measured[] = [
  ...[...GATES, ...EXTRA_GATES].map(gate('RPB-1', subjectWith())),
  ...PLAIN_GATES.map(gate('plain', plainSubject())),
  ...STREAM_GATES.map(gate('streams', streamSubject())),
  ...TARGET_GATES.map((one) => ({
    group: 'targets',
    name: one.name,
    open: false,
    measure: (seed: number) => targetReadings(one, seed),
  })),
  ...FLEET_GATES.map((one) => ({
    group: 'fleet',
    name: one.name,
    open: false,
    measure: (seed: number) => fleetReadings(one, seed),
  })),
  ...ROWS.map((row) => ({
    group: row.id,
    name: row.name,
    open: OPEN.has(row.name),
    measure: (seed: number) => readingsOf(row, seed),
  })),
];

const { values } = parseArgs({ options: { only: { type: 'string' } } });
const wanted = values.only?.split(',');
let broken = 0;
let missed = 0;
for (const one of all) {
  if (wanted !== undefined && !wanted.includes(one.group)) continue;
  for (const seed of SEEDS) {
    const found = await one.measure(seed);
    const holds = found.every((reading) => reading.holds);
    if (!holds && one.open) missed++;
    else if (!holds) broken++;
    const texts = found.map(({ text, holds: held }) => (held ? text : `✗ ${text}`));
    const result = holds ? 'PASS' : one.open ? 'open' : 'FAIL';
    console.log(`${result}  ${one.group.padEnd(5)} ${one.name.padEnd(50)} seed ${seed}  ${texts.join(', ')}`);
  }
}
console.log(
  `${broken === 0 ? 'all gates hold' : `${broken} broken`}${missed === 0 ? '' : `, ${missed} open`}`,
);
process.exitCode = broken === 0 ? 0 : 1;
