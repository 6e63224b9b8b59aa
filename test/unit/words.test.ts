import { expect, test } from 'vitest';
import { findings } from '../../.ci/words.js';

const places = (file: string, text: string) => findings(file, text).map((line) => line.split(' ')[0]);

/** Split, so that this file passes the check itself. */
const word = (...parts: string[]) => parts.join('');

test.each([
  word('no', 'body'),
  word('who', 'ever'),
  word('an', 'ew'),
  word('be', 'sides'),
  word('in ', 'vain'),
  word('tells callers ', 'apart'),
  word('all the ', 'same'),
])('"%s" is found in code and in text, with its line', (found) => {
  expect(places('a.ts', `const a = 1;\n// Then it is ${found}.\n`)).toEqual(['a.ts:2']);
  expect(places('a.md', `${found[0]?.toUpperCase()}${found.slice(1)} begins.\n`)).toEqual(['a.md:1']);
});

test.each(['/**', '//', ' *', '/*', '#'].flatMap((mark) => [`${mark} What`, `${mark} Whose`]))(
  'a comment that begins with "%s" is found',
  (start) => expect(places('a.ts', `\n${start} follows is a comment.\n`)).toEqual(['a.ts:2']),
);

test('the same words are no finding inside others, in a sentence or in text', () => {
  expect(places('a.ts', 'const toldBy = whatever.renew;\n// Shows what follows.\n')).toEqual([]);
  expect(places('a.md', 'What follows is a heading. Who reads it?\n')).toEqual([]);
});
