import { expect, test } from 'vitest';
import { runRates } from '../../examples/rates/rates.ts';
import { run } from '../support/command.ts';

test('rates by cron: every reader has those of the last run, from the cache, and the API is asked by the schedule alone', async () => {
  const lines: string[] = [];
  const say = (line: string) => lines.push(line);
  const { readings, seen } = await runRates({ runs: 2, seed: 1, fast: true, say });
  expect(readings.map(({ status, origin }) => [status, origin])).toEqual([
    [200, 'cache'],
    [200, 'cache'],
  ]);
  // Of that very run, or a later one: not those of before.
  for (const { at, slot } of readings) expect(Date.parse(at)).toBeGreaterThanOrEqual(Date.parse(slot));
  expect(seen.filter((outcome) => outcome === '200').length).toBeGreaterThanOrEqual(2);
  expect(seen).toContain('503');
  expect(lines.at(-1)).toBe('2 of 2 readers had their rates without a call');
});

test('the program that README names ends by itself', async () => {
  const program = run(process.execPath, ['examples/rates/run.ts', '--fast', '--runs=1']);
  expect([await program.ended(), program.err]).toEqual([0, '']);
  expect(program.out).toContain('a reader: 200 from cache');
});
