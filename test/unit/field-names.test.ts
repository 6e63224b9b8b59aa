import { expect, test } from 'vitest';
import { FieldNames } from '../../src/http/field-names.ts';

const LONG = 'x-a-name-that-is-longer-than-all-of-the-others';

test('a name matches in any case, and only as a whole', () => {
  const names = new FieldNames(['te', 'content-length', LONG]);
  expect(names.known('te')).toBe('te');
  expect(names.known('Content-LENGTH')).toBe('content-length');
  expect(names.known(LONG.toUpperCase())).toBe(LONG);
  for (const other of ['', 'tf', 't', 'tea', 'content-lengthy', 'content-weight', `${LONG}s`, LONG.slice(1)])
    expect(names.known(other)).toBeUndefined();
  expect([...names]).toEqual(['te', 'content-length', LONG]);
});

test('a name matches in each spelling, whichever came before', () => {
  const names = new FieldNames(['x-one', 'x-two']);
  for (const name of ['X-One', 'x-one', 'X-ONE', 'X-Two', 'X-One'])
    expect(names.known(name)).toBe(name.toLowerCase());
  expect(names.known('X-Onf')).toBeUndefined();
});

test('an empty set matches no name', () => {
  expect(new FieldNames([]).known('te')).toBeUndefined();
});
