import { describe, expect, test } from 'vitest';
import { Expression, parseExpression } from '../../src/http/expression.ts';

describe('a regular expression for untrusted text', () => {
  test.each<[string, string, string]>([
    ['^paid$', 'paid', 'unpaid'],
    ['^(settled|captured)', 'settled: 1', 'not settled'],
    ['^(?:settled|captured)-?', 'captured', 'settle'],
    [String.raw`\(\+\*\?\d+\)`, '(+*?12)', '(1)'],
    [String.raw`^\p{L}+$`, 'bezahlt', '12'],
    ['^(ab){2,3}$', 'abab', 'ab'],
    ['(?i)^done.*$', 'DONE now', 'undone'],
  ])('%s is found in %j, and not in %j', (source, yes, no) => {
    const expression = new Expression(source);
    expect([expression.test(yes), expression.test(no)]).toEqual([true, false]);
  });

  test.each([
    ['', 'is empty'],
    ['(', 'is not a valid RE2 expression'],
    ['x'.repeat(101), 'has 101 characters'],
    [String.raw`(a)\1`, 'invalid escape sequence'],
    ['(?=a)b', 'look-around and back references are not supported'],
    ['(?<!a)b', 'look-around and back references are not supported'],
  ])('%s is refused', (source, why) => {
    const read = parseExpression(source);
    expect('problem' in read && read.problem).toContain(why);
  });
});
