import { expect, test } from 'vitest';
import { CacheKeys } from '../../src/policies/response-cache/key.ts';
import { stubCall } from '../support/stub-call.ts';

function setUp(vary: readonly string[] = []) {
  const hashed: (readonly string[])[] = [];
  const keys = new CacheKeys(
    {
      identityOf: ({ headers }) => headers.slice(0, 2),
      callerOf: (identity) => {
        hashed.push(identity);
        return { id: String(identity[1]).length.toString(), known: identity[1] !== '' };
      },
    },
    vary,
  );
  return { hashed, keyOf: (headers: string[]) => keys.of(stubCall({ headers })) };
}

test('callers in turn have keys of their own, and the latest one is hashed once', () => {
  const { hashed, keyOf } = setUp();
  const headers = [['key', ''], ['key', ''], ['key', 'a'], ['key', 'a'], ['key', ''], ['key']];
  expect(headers.map((each) => keyOf(each).callerKnown)).toEqual([false, false, true, true, false, true]);
  expect(hashed).toEqual([['key', ''], ['key', 'a'], ['key', ''], ['key']]);
});

test.each([
  [['Accept', 'a/b, c/d'], ['accept', 'a/b,c/d'], true],
  [['accept', '*/*'], [], true],
  [['X-Trace', '1'], ['x-trace', '2'], true],
  [['Api-Version', '1'], ['api-version', '2'], false],
  [['Api-Version', '1'], ['api-version', '1', 'Api-Version', '1'], false],
  [['a-version', '1', 'b-version', '2'], ['b-version', '2', 'a-version', '1'], true],
  [['a-version', '1', 'b-version', '2'], ['a-version', '2', 'b-version', '1'], false],
  [['x-shop', '1'], ['x-shop', '2'], false],
])('%j and %j have the same key: %s', (one, other, same) => {
  const { keyOf } = setUp(['x-shop']);
  const idOf = (headers: string[]) => keyOf(['key', 'k', ...headers]).id;
  // In both orders, because the meaning of earlier fields is remembered.
  for (const [a, b] of [
    [one, other],
    [other, one],
  ] as const)
    expect(idOf(a) === idOf(b)).toBe(same);
});
