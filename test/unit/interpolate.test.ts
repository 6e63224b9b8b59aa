import { expect, test } from 'vitest';
import { interpolate, type Lookup } from '../../src/config/read/interpolate.ts';

const lookup: Lookup = {
  env: { KEY: 'k-1', EMPTY: '', DOLLAR: '$KEY ${KEY}' },
  readFile: (path) => {
    if (path === '/run/secrets/key') return 'from a file\n';
    if (path === '/run/secrets/empty') return '\n';
    if (path === '/run/secrets/two') return 'a\nb\r\n';
    throw Object.assign(new Error('ENOENT: …'), { code: 'ENOENT' });
  },
};
const textOf = (text: string) => interpolate(text, lookup).text;

test.each([
  ['plain', 'plain'],
  ['Bearer ${KEY}', 'Bearer k-1'],
  ['${KEY}${KEY}', 'k-1k-1'],
  ['${MISSING:-fallback}', 'fallback'],
  ['${EMPTY:-fallback}', 'fallback'],
  ['${KEY:-fallback}', 'k-1'],
  ['${MISSING:-}', ''],
  ['${MISSING:-http://a:1/-}', 'http://a:1/-'],
  ['$${KEY}', '${KEY}'],
  ['$$$${KEY}', '$${KEY}'],
  ['$$${KEY}', '$k-1'],
  ['costs $5', 'costs $5'],
  ['${file:/run/secrets/key}', 'from a file'],
  ['${file:/run/secrets/two}', 'a\nb'],
])('%s becomes %s', (text, expected) => expect(textOf(text)).toBe(expected));

test('an inserted value is not interpolated again', () => expect(textOf('${DOLLAR}')).toBe('$KEY ${KEY}'));

test.each([
  ['${MISSING}', 'environment variable MISSING is not set; set it, or write ${MISSING:-default}'],
  ['${EMPTY}', 'environment variable EMPTY is empty; set it, or write ${EMPTY:-default}'],
  ['${toString}', 'environment variable toString is not set; set it, or write ${toString:-default}'],
  ['${file:/run/secrets/empty}', '/run/secrets/empty is empty; write the value into this file'],
  ['${file:/nope}', 'cannot read /nope: no such file'],
  [
    '${my-key}',
    '"${my-key}" is not understood; write ${NAME}, ${NAME:-default} or ${file:/path}, and $$ for a dollar sign',
  ],
  ['${KEY', '"${KEY" is not closed; write $$ for a dollar sign'],
])('%s is refused with the fix', (text, problem) => {
  expect(interpolate(text, lookup).problems).toEqual([problem]);
});

test('reports every missing variable', () => {
  expect(interpolate('${A}:${B}', lookup).problems).toHaveLength(2);
});

test('marks a text with a value from outside, which may be a secret', () => {
  expect(interpolate('${KEY}', lookup).replaced).toBe(true);
  expect(interpolate('$$5', lookup).replaced).toBe(false);
});
