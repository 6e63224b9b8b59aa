import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { JOB_ERROR_CODES, WAIT_REASONS } from '../../src/durable/job.ts';
import { ERROR_CODES, factsOf } from '../../src/proxy/error-table.ts';
import { RETRY_DENIALS } from '../../src/proxy/gave-up.ts';

/** The names in the first column of the tables of a chapter. */
function listed(heading: string): string[] {
  const [, rest = ''] = readFileSync('docs/troubleshooting.md', 'utf8').split(`\n## ${heading}\n`);
  const [chapter = ''] = rest.split('\n## ');
  const cells = [...chapter.matchAll(/^\| ([^|]+) \|/gm)].map(([, cell = '']) => cell);
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)).sort();
}

test('each problem code has one row', () => {
  expect(listed('Problem codes')).toEqual(ERROR_CODES.toSorted());
});

test.each(ERROR_CODES.filter((code) => code !== 'hedge_lost'))('%s is listed with its status', (code) => {
  expect(readFileSync('docs/troubleshooting.md', 'utf8')).toContain(
    `| \`${code}\` | ${factsOf(code).status} |`,
  );
});

test('each gave-up reason has one row', () => {
  expect(listed('Gave-up reasons')).toEqual(RETRY_DENIALS.toSorted());
});

test('each state of a durable request has one row', () => {
  expect(listed('Durable requests')).toEqual([...WAIT_REASONS, ...JOB_ERROR_CODES].sort());
});
