import { expect, test } from 'vitest';
import { Credentials } from '../../../src/durable/credentials.ts';

const KEY = '11'.repeat(32);
const secret = (byte: string) => byte.repeat(32);
const without = new Credentials(secret('aa'), () => undefined);
const sealing = new Credentials(secret('aa'), () => KEY);

const MINE = ['Authorization', 'Bearer mine', 'X-Api-Key', 'k', 'Accept', '*/*'];

test('a caller is the same in whatever order and letters the credentials come, and whatever else comes', () => {
  const caller = without.callerOf(MINE);
  expect(caller).toMatch(/^[0-9a-f]{64}$/);
  expect(without.callerOf(['x-api-key', 'k', 'x-trace', '1', 'authorization', 'Bearer mine'])).toBe(caller);
  expect(without.callerOf(['x-trace', '1'])).toBe('');
});

test.each([
  ['another value', ['Authorization', 'Bearer other', 'X-Api-Key', 'k']],
  ['one more', [...MINE, 'Cookie', 'a=b']],
  ['one less', ['Authorization', 'Bearer mine']],
  ['the same values in other fields', ['Authorization', 'k', 'X-Api-Key', 'Bearer mine']],
])('%s is another caller', (_, headers) =>
  expect(without.callerOf(headers)).not.toBe(without.callerOf(MINE)),
);

test('to another store a caller is somebody else', () =>
  expect(new Credentials(secret('bb'), () => undefined).callerOf(MINE)).not.toBe(without.callerOf(MINE)));

test('credentials are left out, or sealed and opened again; nothing is opened with another key', () => {
  expect(without.seal(MINE)).toEqual(['Accept', '*/*']);
  const sealed = sealing.seal(MINE);
  expect(JSON.stringify(sealed)).not.toContain('mine');
  expect(sealing.open(sealed).toSorted()).toEqual(MINE.toSorted());
  expect(new Credentials(secret('aa'), () => '22'.repeat(32)).open(sealed)).toEqual(['Accept', '*/*']);
  expect(without.open(sealed)).toEqual(['Accept', '*/*']);
});

test('what a client passes off as sealed is not stored', () => {
  const [, text = ''] = sealing.seal(['Cookie', 'somebody=else']);
  expect(sealing.seal(['Breakwater-Sealed', text, 'Accept', '*/*'])).toEqual(['Accept', '*/*']);
});
