import { describe, expect, test } from 'vitest';
import { limitShape, timingShape } from '../../src/http/path-shape.ts';

describe('for timing', () => {
  test.each([
    ['/users/17', '/users/18'],
    ['/v1/charges/ch_3Oabc9', '/v1/charges/ch_4Nxyz1'],
    ['/a?x=1', '/a?y=2'],
    [`/a/${'x'.repeat(25)}`, `/a/${'y'.repeat(30)}`],
  ])('%s and %s have the same shape', (one, other) => {
    expect(timingShape('GET', one)).toBe(timingShape('GET', other));
  });

  test.each([
    ['/users', '/reports'],
    ['/users/17', '/users/17/posts'],
    ['/v1/a', '/v2/a'],
    ['/', '/a'],
  ])('%s and %s have different shapes', (one, other) => {
    expect(timingShape('GET', one)).not.toBe(timingShape('GET', other));
  });

  test('the method is part of the shape', () => {
    expect(timingShape('GET', '/a')).not.toBe(timingShape('POST', '/a'));
  });
});

describe('for limits', () => {
  test.each([
    ['/users/17?page=2', '/users/*'],
    ['/v1/charges/ch_3MmlLrLkdIwHu7ix0snN0B15', '/v1/charges/*'],
    ['/o/3f1c9a52-7be0-4c57-9a5e-0f1d2c3b4a59/x', '/o/*/x'],
    ['/r/aB3-xYz_9Qw-eRt5Yui7', '/r/*'],
    [`/a/${'x'.repeat(65)}`, '/a/*'],
    ['/a/b/c/d/e/f/g/h/i/j', '/a/b/c/d/e/f/g/h'],
  ])('%s is %s', (target, shape) => expect(limitShape('GET', target)).toBe(`GET ${shape}`));

  test.each([
    'gpt-4o',
    'gpt-4o-2024-08-06',
    'claude-3-5-sonnet-20241022',
    'gemini-2.5-pro:generateContent',
    'o3',
  ])('the model %s has its own shape', (model) =>
    expect(limitShape('POST', `/models/${model}`)).toBe(`POST /models/${model}`),
  );

  test('HEAD is limited together with GET', () => expect(limitShape('HEAD', '/a')).toBe('GET /a'));
});
