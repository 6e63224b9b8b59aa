import { describe, expect, test } from 'vitest';
import { compileHeaderRules, headerOf, replyHeaders, requestHeaders } from '../../src/http/headers.ts';

const NONE = compileHeaderRules({ set: [], remove: [] });
const VIA = '1.1 breakwater-x';
const toUpstream = (raw: readonly string[], rules = NONE) => requestHeaders(raw, rules, VIA).slice(0, -2);
const toClient = (raw: readonly string[]) => replyHeaders(raw).slice(0, -2);

test('headerOf finds the first value in any case of the name, and only whole names', () => {
  expect(headerOf(['X-A', '1', 'x-a', '2'], 'x-a')).toBe('1');
  expect(headerOf(['x-ab', '1', 'x-', '2', 'x-a', ''], 'x-a')).toBe('');
  expect(headerOf(['a', 'x-a'], 'x-a')).toBeUndefined();
});

test('end-to-end fields keep case, order, repetitions and bytes', () => {
  const raw = ['X-CamelCase', ' v\xe9 ', 'Cookie', 'a=1', 'cookie', 'b=2', 'Via', '1.0 other', 'X-Empty', ''];
  expect(requestHeaders(raw, NONE, VIA)).toEqual([...raw, 'via', VIA]);
  expect(replyHeaders(raw)).toEqual([...raw, 'via', '1.1 breakwater']);
});

describe('fields of one connection', () => {
  test.each([
    ['Connection', 'close'],
    ['Keep-Alive', 'timeout=5'],
    ['Proxy-Connection', 'keep-alive'],
    ['Proxy-Authenticate', 'Basic'],
    ['Proxy-Authorization', 'Basic eDp5'],
    ['TE', 'gzip'],
    ['Trailer', 'Expires'],
    ['Transfer-Encoding', 'chunked'],
    ['Upgrade', 'websocket'],
  ])('%s is removed in both directions', (name, value) => {
    expect(toUpstream([name, value, 'x', 'y'])).toEqual(['x', 'y']);
    expect(toClient([name, value, 'x', 'y'])).toEqual(['x', 'y']);
  });

  test('Host and Expect are not forwarded', () => {
    expect(toUpstream(['Host', 'proxy', 'Expect', '100-continue', 'x', 'y'])).toEqual(['x', 'y']);
  });

  test('fields listed in Connection, in any case, in several fields, with any spaces', () => {
    const raw = [
      'Connection',
      'X-One,  x-TWO ',
      'x-one',
      '1',
      'X-Two',
      '2',
      'CONNECTION',
      ',x-three,',
      'X-Three',
      '3',
      'x',
      'y',
    ];
    expect(toUpstream(raw)).toEqual(['x', 'y']);
    expect(toClient(raw)).toEqual(['x', 'y']);
  });

  test('a client cannot remove framing fields, nor fields of the proxy', () => {
    const rules = compileHeaderRules({ set: [['Authorization', 'Bearer ours']], remove: [] });
    const raw = [
      'Connection',
      'content-length, authorization, via, te, close',
      'Content-Length',
      '3',
      'TE',
      'trailers',
    ];
    expect(requestHeaders(raw, rules, VIA)).toEqual([
      'Content-Length',
      '3',
      'te',
      'trailers',
      'Authorization',
      'Bearer ours',
      'via',
      VIA,
    ]);
    expect(replyHeaders(['Connection', 'via', 'Via', '1.1 x'])).toEqual(['via', '1.1 breakwater']);
  });

  test.each([
    ['trailers', true],
    ['gzip, Trailers;q=0.5', true],
    ['gzip', false],
  ])('TE: %s', (value, forwarded) => {
    expect(toUpstream(['TE', value])).toEqual(forwarded ? ['te', 'trailers'] : []);
  });
});

test('a configured field replaces all of the client, in any case; a removed one is not forwarded', () => {
  const rules = compileHeaderRules({
    set: [
      ['X-Key', 'k'],
      ['x-two', 'b'],
    ],
    remove: ['x-internal'],
  });
  const raw = ['x-key', 'theirs', 'X-KEY', 'again', 'X-Internal', 'secret', 'keep', 'me', 'X-Two', 'a'];
  expect(toUpstream(raw, rules)).toEqual(['keep', 'me', 'X-Key', 'k', 'x-two', 'b']);
});

test('a configured Host goes to the upstream', () => {
  const rules = compileHeaderRules({ set: [['host', 'virtual.example']], remove: [] });
  expect(toUpstream(['Host', 'proxy'], rules)).toEqual(['host', 'virtual.example']);
});
