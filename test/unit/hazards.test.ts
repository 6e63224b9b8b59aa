import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/** The rows of docs/hazards.md: number, bug, rule, and tests as `file › name`. */
const ROWS = readFileSync('docs/hazards.md', 'utf8')
  .split('\n')
  .filter((line) => /^\| \d+ \|/.test(line))
  .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').trim()))
  .map(([number = '', bug = '', rule = '', tests = '']) => ({
    number,
    bug,
    rule,
    tests: tests.split('<br>'),
  }));

test('all 38 are there, each with a rule', () => {
  expect(ROWS.map(({ number }) => Number(number))).toEqual(Array.from({ length: 38 }, (_, i) => i + 1));
  expect(ROWS.filter(({ bug, rule }) => bug === '' || rule === '')).toEqual([]);
});

test.each(ROWS)('$number, $bug: its tests exist', ({ tests }) => {
  const missing = tests.filter((cited) => {
    const [file = '', name = ''] = cited.split(' › ');
    const source = file.startsWith('test/') && name !== '' ? readFileSync(file, 'utf8') : '';
    return !['"', "'", '`'].some((quote) => source.includes(`${quote}${name}${quote}`));
  });
  expect(missing).toEqual([]);
});
