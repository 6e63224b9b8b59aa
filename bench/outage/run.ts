/** `node bench/outage/run.ts`: RPB-1 in virtual time for the shipped defaults. Ends with 1 if a gate is broken. */
import { subjectWith } from './default-policy.ts';
import { EXTRA_GATES, GATES, measure, readings, SEEDS } from './gates.ts';

const subject = subjectWith();
let broken = 0;
for (const gate of [...GATES, ...EXTRA_GATES]) {
  for (const seed of SEEDS) {
    const all = readings(gate.bounds, await measure(subject, gate, seed));
    const holds = all.every((reading) => reading.holds);
    if (!holds) broken++;
    console.log(
      `${holds ? 'ok    ' : 'BROKEN'}  ${gate.name.padEnd(32)} seed ${seed}  ${all.map(({ text }) => text).join(', ')}`,
    );
  }
}
console.log(broken === 0 ? 'all gates hold' : `${broken} broken`);
process.exitCode = broken === 0 ? 0 : 1;
