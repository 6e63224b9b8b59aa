import { expect, test } from 'vitest';
import { Credentials, isPrivate } from '../../../src/durable/credentials.ts';
import { CredentialNames, RECOGNISED } from '../../../src/http/credentials.ts';

const KEY = '11'.repeat(32);
const secret = (byte: string) => byte.repeat(32);
const without = new Credentials(secret('aa'), () => undefined);
const sealing = new Credentials(secret('aa'), () => KEY);

const MINE = ['Authorization', 'Bearer mine', 'X-Api-Key', 'k', 'Accept', '*/*'];
const request = (headers: string[], target = '/x') => ({ headers, target });
const callerOf = (headers: string[], target?: string, names = RECOGNISED) =>
  without.callerOf(request(headers, target), names);

test('a caller is the same whatever the order, letter case and other fields', () => {
  const caller = callerOf(MINE);
  expect(caller).toMatch(/^[0-9a-f]{64}$/);
  expect(callerOf(['x-api-key', 'k', 'x-trace', '1', 'authorization', 'Bearer mine'])).toBe(caller);
  expect(callerOf(['x-trace', '1'])).toBe('');
});

test.each([
  ['another value', ['Authorization', 'Bearer other', 'X-Api-Key', 'k']],
  ['one more', [...MINE, 'Cookie', 'a=b']],
  ['one less', ['Authorization', 'Bearer mine']],
  ['the same values in other fields', ['Authorization', 'k', 'X-Api-Key', 'Bearer mine']],
  ['another account', [...MINE, 'Stripe-Account', 'acct_1']],
  ['another tenant', [...MINE, 'Xero-Tenant-Id', 't']],
])('%s is another caller', (_, headers) => expect(callerOf(headers)).not.toBe(callerOf(MINE)));

test('a secret parameter alone identifies a caller; so does a name that the route adds', () => {
  expect(callerOf([], '/x?key=one')).not.toBe('');
  expect(callerOf([], '/x?key=one')).not.toBe(callerOf([], '/x?key=two'));
  expect(callerOf([], '/x?page=1')).toBe('');
  const names = new CredentialNames({ secretNames: ['x-honey'], accountNames: ['x-shop'], ignoredNames: [] });
  expect(callerOf(['X-Honey', 'a'])).toBe('');
  expect(callerOf(['X-Honey', 'a'], '/x', names)).not.toBe('');
  expect(callerOf(['X-Shop', 'a'], '/x', names)).not.toBe(callerOf(['X-Shop', 'b'], '/x', names));
});

test('only a caller with a secret must prove its identity again', () => {
  expect(isPrivate(callerOf(MINE))).toBe(true);
  expect(isPrivate(callerOf([], '/x?key=one'))).toBe(true);
  expect(isPrivate(callerOf(['X-Tenant', 'a']))).toBe(false);
  expect(callerOf(['X-Tenant', 'a'])).not.toBe(callerOf(['X-Tenant', 'b']));
  expect(isPrivate(callerOf([]))).toBe(false);
});

test('a repeat with a new signature comes from the same caller', () =>
  expect(callerOf([...MINE, 'x-signature', 'a'])).toBe(callerOf([...MINE, 'x-signature', 'b'])));

test('in another store the same caller has another identity', () =>
  expect(new Credentials(secret('bb'), () => undefined).callerOf(request(MINE), RECOGNISED)).not.toBe(
    callerOf(MINE),
  ));

test('credentials are dropped, or encrypted and decrypted; another key decrypts nothing', () => {
  expect(without.seal(request(MINE), RECOGNISED)).toEqual(request(['Accept', '*/*']));
  const sealed = sealing.seal(request(MINE), RECOGNISED);
  expect(JSON.stringify(sealed)).not.toContain('mine');
  expect(sealing.open(sealed)?.headers.toSorted()).toEqual(MINE.toSorted());
  expect(new Credentials(secret('aa'), () => '22'.repeat(32)).open(sealed)).toBeUndefined();
  expect(without.open(sealed)).toBeUndefined();
  expect(without.open(request(['Accept', '*/*']))).toEqual(request(['Accept', '*/*']));
});

test('a secret parameter is encrypted and sent in its place; its name stays readable', () => {
  const sent = request(['Accept', '*/*'], '/x?a=1&api_key=s%20ecret&b=&access_token=other&a=[sealed]');
  const sealed = sealing.seal(sent, RECOGNISED);
  expect(sealed.target).toBe('/x?a=1&api_key=[sealed]&b=&access_token=[sealed]&a=[sealed]');
  expect(sealing.open(sealed)).toEqual(sent);
});

test('a poll gets the secret parameters that it does not have', () => {
  const sealed = sealing.seal(request([], '/x?key=secret&a=1'), RECOGNISED);
  const poll = (target: string) => sealing.open({ ...sealed, target }, true)?.target;
  expect(poll('/operations/1')).toBe('/operations/1?key=secret');
  expect(poll('/operations/1?v=2')).toBe('/operations/1?v=2&key=secret');
  expect(poll('/operations/1?key=own')).toBe('/operations/1?key=own');
});

test('without a key a secret parameter is refused: the rest could ask for something else', () => {
  expect(() => without.seal(request([], '/items?key=12'), RECOGNISED)).toThrow(
    /parameter key contains a secret/,
  );
  const names = new CredentialNames({ secretNames: [], accountNames: [], ignoredNames: ['key'] });
  expect(without.seal(request([], '/items?key=12'), names)).toEqual(request([], '/items?key=12'));
});

test('a sealed header from a client is not stored', () => {
  const [, text = ''] = sealing.seal(request(['Cookie', 'somebody=else']), RECOGNISED).headers;
  const passedOff = request(['Breakwater-Sealed', text, 'Accept', '*/*']);
  expect(sealing.seal(passedOff, RECOGNISED)).toEqual(request(['Accept', '*/*']));
});
