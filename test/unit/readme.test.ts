import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { presetTable } from '../../src/config/resolve/preset.ts';
import { renderOptionsTable } from '../../src/config/show/options-table.ts';

const readme = readFileSync('README.md', 'utf8');

test('the table of keys is the one that `breakwater schema --markdown` prints', () => {
  expect(readFileSync('docs/keys.md', 'utf8')).toContain(renderOptionsTable().trim());
});

test('the table of presets is the one that `breakwater presets` prints', () => {
  expect(readme).toContain(presetTable().trim());
});

test('every file that the README links to is there', () => {
  const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path = '']) => path);
  expect(links.length).toBeGreaterThan(3);
  expect(links.filter((path) => !existsSync(path))).toEqual([]);
});
