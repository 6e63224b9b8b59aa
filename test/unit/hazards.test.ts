import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { missingTests } from '../support/cited-tests.ts';

/** The rows of docs/hazards.md: number, bug, rule, and tests as `file › name`. */
const ROWS = readFileSync('docs/hazards.md', 'utf8')
  .split('\n')
  .filter((line) => /^\| \d+ \|/.test(line))
  .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').trim()))
  .map(([number = '', bug = '', rule = '', tests = '']) => ({
    number,
    bug,
    rule,
    tests,
  }));

test('all 49 are there, each with a rule', () => {
  expect(ROWS.map(({ number }) => Number(number))).toEqual(Array.from({ length: 49 }, (_, i) => i + 1));
  expect(ROWS.filter(({ bug, rule }) => bug === '' || rule === '')).toEqual([]);
});

test.each(ROWS)('$number, $bug: its tests exist', ({ tests }) => {
  expect(missingTests(tests)).toEqual([]);
});
