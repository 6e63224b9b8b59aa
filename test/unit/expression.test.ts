import { describe, expect, test } from 'vitest';
import { expressionProblem } from '../../src/config/expression.ts';

describe('a regular expression for texts of others', () => {
  test.each([
    '^paid$',
    '^(settled|captured)',
    '^(?:settled|captured)-?',
    '[a-z+*?]+',
    String.raw`\(\+\*\?\d+\)`,
    String.raw`\p{L}+`,
    'a{2,3}',
    '^done.*$',
  ])('%s is taken', (source) => expect(expressionProblem(source)).toBeUndefined());

  test.each([
    ['', 'is empty'],
    ['(', 'is no regular expression'],
    ['x'.repeat(101), 'has 101 characters'],
    ['(a+)+$', 'repeats a group'],
    ['(a|aa)*', 'repeats a group'],
    ['(ab){2,}', 'repeats a group'],
    ['(a|a)(a|a)', 'has 2 groups'],
    ['a*a*a*b', 'has 3 of'],
    ['a?a?a?', 'has 3 of'],
    [String.raw`(a)\1`, 'refers back'],
    [String.raw`(?<n>a)\k<n>`, 'refers back'],
    ['(?=a)b', 'looks around'],
    ['(?<!a)b', 'looks around'],
  ])('%s is not', (source, why) => expect(expressionProblem(source)).toContain(why));
});
