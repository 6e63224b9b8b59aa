/**
 * `node bench/outage/ablation.ts [--all]`: the default policy with one rule switched off at a time, and the gates that
 * break without it. Ends with 1 if one of the six rules turns out to be unnecessary.
 */
import { ABLATIONS, type Ablation, MORE_ABLATIONS } from './ablations.ts';
import { subjectWith } from './default-policy.ts';
import { EXTRA_GATES, GATES, type Gate, measure, readings, SEEDS } from './gates.ts';

/** The broken bounds of the worst seed; undefined if the gate holds for all seeds. */
async function brokenBy({ config, tamper }: Ablation, gate: Gate): Promise<string | undefined> {
  const subject = subjectWith(config);
  const broken: string[] = [];
  for (const seed of SEEDS) {
    const failed = readings(gate.bounds, await measure(subject, gate, seed, tamper)).filter(
      ({ holds }) => !holds,
    );
    if (failed.length > 0) broken.push(failed.map(({ text }) => text).join(', '));
  }
  return broken.length === 0 ? undefined : `${broken.length} of ${SEEDS.length} seeds: ${broken[0]}`;
}

const necessary: readonly Ablation[] = ABLATIONS;
const ablations = process.argv.includes('--all') ? [...ABLATIONS, ...MORE_ABLATIONS] : ABLATIONS;
for (const ablation of ablations) {
  console.log(`\n${ablation.name}`);
  let count = 0;
  for (const gate of [...GATES, ...EXTRA_GATES]) {
    const broken = await brokenBy(ablation, gate);
    if (broken === undefined) continue;
    count++;
    console.log(`  breaks ${gate.name.padEnd(30)} ${broken}`);
  }
  if (count === 0) console.log('  breaks no gate');
  if (count === 0 && necessary.includes(ablation)) process.exitCode = 1;
}
