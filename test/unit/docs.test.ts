import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import { presetTable } from '../../src/config/resolve/preset.ts';
import { renderOptionsTable } from '../../src/config/show/options-table.ts';
import { ownersTable, roomsTable } from '../support/import-table.ts';
import { blocks, brokenLinks, missingFiles, pages } from '../support/markdown.ts';

const PAGES = pages();
const BLOCKS = PAGES.flatMap(blocks);

describe('generated parts are fresh (npm run docs)', () => {
  test.each([
    ['docs/keys.md', renderOptionsTable],
    ['docs/configuration.md', presetTable],
    ['docs/architecture.md', roomsTable],
    ['docs/architecture.md', ownersTable],
  ])('%s', (page, render) => {
    expect(readFileSync(page, 'utf8')).toContain(render().trim());
  });
});

test('the README has at most 250 lines', () => {
  expect(readFileSync('README.md', 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(250);
});

test.each(PAGES)('%s: each relative link leads to a file or a heading', (page) => {
  expect(brokenLinks(page)).toEqual([]);
});

test.each(PAGES)('%s: each file that it names exists', (page) => {
  expect(missingFiles(page)).toEqual([]);
});

/** The text of a page. Of the CHANGELOG, only the newest section, without its tables: the rest may have earlier names. */
function presentText(page: string): string {
  const text = readFileSync(page, 'utf8');
  if (page !== 'CHANGELOG.md') return text;
  const [, newest = ''] = text.split(/^## /m);
  return newest.replace(/^\|.*$/gm, '');
}

/** Words of `code` in a page that match `pattern`. */
const named = (page: string, pattern: RegExp): string[] =>
  [...presentText(page).matchAll(pattern)].map(([, name = '']) => name);

const KEYS = readFileSync('docs/keys.md', 'utf8');
const SECTIONS = [...new Set(named('docs/keys.md', /^\| `(\w+)\./gm))].join('|');

test.each(PAGES)('%s: each configuration key that it names exists', (page) => {
  const keys = named(page, new RegExp(`\`((?:${SECTIONS})(?:\\.\\w+)+)\``, 'g'));
  // A key may be a section, or an item of a list.
  expect(
    keys.filter(
      (key) => !KEYS.includes(`\`${key}\``) && !KEYS.includes(`\`${key}.`) && !KEYS.includes(`\`${key}[`),
    ),
  ).toEqual([]);
});

test.each(PAGES)('%s: each metric that it names exists', (page) => {
  const metrics = readFileSync('docs/metrics.md', 'utf8');
  const names = named(page, /`(breakwater_\w+)/g);
  expect(names.filter((name) => !metrics.includes(name))).toEqual([]);
});

test('each page of docs/ is in the index', () => {
  const index = readFileSync('docs/README.md', 'utf8');
  const listed = PAGES.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md');
  expect(listed.filter((page) => !index.includes(`](${page.slice('docs/'.length)})`))).toEqual([]);
});

test.each(BLOCKS.filter(({ language }) => language === 'json'))('$place is JSON', ({ text }) => {
  expect(() => JSON.parse(text)).not.toThrow();
});

/** Values for all that the examples take from outside. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    BLOCKS.flatMap(({ text }) => [...text.matchAll(/\$\{(\w+)\}/g)]).map(([, name = '']) => [
      name,
      `from-outside-${name}`,
    ]),
  ),
  CALLBACK_SECRET: `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
  EVENT_SECRET: `whsec_${Buffer.alloc(32, 8).toString('base64')}`,
};

const indented = (text: string, spaces: number): string => text.replace(/^(?=.)/gm, ' '.repeat(spaces));

const UPSTREAM = 'upstreams:\n  example:\n    url: https://api.example.com\n';

/** Where a fragment may stand in a file, most usual first. */
const PLACES: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => `${text}\n${UPSTREAM}`,
  (text) => `${UPSTREAM}${indented(text, 4)}`,
  (text) => `${UPSTREAM}    routes:\n${indented(text, 6)}`,
];

const PRESET = /^# ([\w-]+\.yaml): the keys of an upstream/;

/** Presets of the examples themselves. */
const FILES = new Map(
  BLOCKS.flatMap(({ text }) => {
    const [, name] = PRESET.exec(text) ?? [];
    return name === undefined ? [] : [[name, text] as const];
  }),
);

const complaints = (text: string): string[] => {
  const readFile = (path: string): string =>
    path === 'config.yaml' ? text : (FILES.get(path) ?? `${path}-0123456789`);
  const loaded = loadConfig('config.yaml', ENVIRONMENT, readFile);
  return (loaded.ok ? loaded.warnings : loaded.problems).map(formatProblem);
};

const EXAMPLES = BLOCKS.filter(({ language, text }) => language === 'yaml' && !PRESET.test(text));

test('there are examples in many pages', () => {
  expect(new Set(EXAMPLES.map(({ place }) => place.split(':')[0])).size).toBeGreaterThan(8);
});

test.each(EXAMPLES)('$place passes `breakwater check`', ({ text }) => {
  const [fewest] = PLACES.map((place) => complaints(place(text))).sort((a, b) => a.length - b.length);
  expect(fewest).toEqual([]);
});
