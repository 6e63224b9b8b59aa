import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { missingTests } from '../support/cited-tests.ts';

const DOCUMENT = readFileSync('docs/security.md', 'utf8');

/** Rows: what an attacker can do, cannot do and why, and the tests. */
const ROWS = DOCUMENT.split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| Can |'))
  .map((line) => line.slice(2, -2).split(' | '));

test('each attacker has a table of three columns', () => {
  expect(DOCUMENT.match(/^## \([a-d]\) /gm)?.length).toBe(4);
  expect(DOCUMENT.match(/^\| Can \| Cannot, because \| Test \|$/gm)?.length).toBe(4);
  expect(ROWS.length).toBeGreaterThan(30);
  expect(ROWS.filter((cells) => cells.length !== 3)).toEqual([]);
});

test.each(ROWS)('%s: its tests exist', (_can, _cannot, tests) => {
  expect(missingTests(tests ?? '')).toEqual([]);
});

test('the keys that it names exist', () => {
  const keys = readFileSync('docs/keys.md', 'utf8');
  const named = [
    ...DOCUMENT.matchAll(/`((?:clients|durable|quota|timeouts|cache|connection|identity|tls)\.[a-z_.]+)`/g),
  ];
  expect(named.length).toBeGreaterThan(10);
  expect(named.map(([, key = '']) => key).filter((key) => !keys.includes(`\`${key}\``))).toEqual([]);
});
