/**
 * `node bench/outage/targets.ts [--seed N]`: one faulty target among others, in virtual time. Compares Breakwater with an
 * application that takes its targets in turn.
 */
import { parseArgs } from 'node:util';
import type { Scenario } from '../../src/simulate/scenario.ts';
import type { Subject } from '../../src/simulate/sidecar.ts';
import { type Run, simulate, simulateWay, withoutOwnRetries } from '../../src/simulate/simulate.ts';
import { App, type AppOptions } from './targets/app.ts';
import { type TargetFigures, targetFigures } from './targets/figures.ts';
import { ATTEMPT_MS, TARGET_GATES, targetScenario, targetSubject } from './targets/gates.ts';
import { targetTable } from './targets/table.ts';

type Runner = (subject: Subject, scenario: Scenario) => Promise<Run>;

const app =
  (options: AppOptions): Runner =>
  (subject, scenario) =>
    simulateWay(withoutOwnRetries(subject), scenario, (_, { clock, targets }) => {
      const sends = (subject.upstream.targets ?? []).map(({ name }) => targets!(name));
      return new App(sends, { ...options, attemptMs: ATTEMPT_MS }, clock);
    });

const CONTENDERS: readonly (readonly [name: string, run: Runner])[] = [
  ['in turn', app({ attempts: 1 })],
  ['in turn, retry elsewhere', app({ attempts: 2 })],
  ['in turn, retry elsewhere, ejection', app({ attempts: 2, ejectedAfter: 5 })],
  ['Breakwater', simulate],
];

const { values } = parseArgs({ options: { seed: { type: 'string', default: '1' } } });

// The application has an attempt timeout, so the gate without one would compare nothing.
for (const gate of TARGET_GATES.filter(({ plain }) => plain !== true)) {
  const rows: [string, TargetFigures][] = [];
  for (const [name, run] of CONTENDERS)
    rows.push([
      name,
      targetFigures(await run(targetSubject(gate), targetScenario(gate, Number(values.seed)))),
    ]);
  console.log(`\n${targetTable(gate.name, rows)}`);
}
