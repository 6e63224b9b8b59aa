import { expect, test } from 'vitest';
import { remembered } from '../../src/runtime/remembered.ts';

function counted(): { readonly asked: string[]; readonly of: (text: string) => boolean } {
  const asked: string[] = [];
  return { asked, of: remembered((text) => (asked.push(text), text.length > 1)) };
}

test('a result is computed once, also false', () => {
  const { asked, of } = counted();
  expect(['a', 'ab', 'a', 'ab'].map(of)).toEqual([false, true, false, true]);
  expect(asked).toEqual(['a', 'ab']);
});

test('no more than 500 results are remembered', () => {
  const { asked, of } = counted();
  for (let i = 0; i < 501; i++) of(String(i));
  of('500');
  expect(asked).toHaveLength(501);
  of('499');
  expect(asked).toHaveLength(502);
});

test('the result for a long text is not remembered', () => {
  const { asked, of } = counted();
  for (const length of [256, 256, 257, 257]) expect(of('x'.repeat(length))).toBe(true);
  expect(asked.map((text) => text.length)).toEqual([256, 257, 257]);
});
