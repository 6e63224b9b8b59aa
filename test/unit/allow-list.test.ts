import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allowList } from '../../src/routing/allow-list.ts';

const allows = allowList([
  { methods: ['GET'], path: '/v1/**' },
  { methods: ['POST'], path: '/v1/charges' },
  { methods: undefined, path: '/ping' },
  { methods: ['PUT'], path: '/files/:name' },
]);

describe('a call on the list passes', () => {
  test.each([
    ['GET', '/v1'],
    ['GET', '/v1/charges/ch_1'],
    ['GET', '/v1/a%20b/%E2%82%AC/c%2Fd'],
    ['GET', '/v1/a;b=c/d%3Fe'],
    ['GET', '/v1/../v1/x'],
    ['GET', '/v1/a..b/...'],
    ['POST', '/v1/charges'],
    ['DELETE', '/ping'],
    ['PUT', '/files/a.txt'],
    ['PUT', '/files/a%20b'],
  ])('%s %s', (method, path) => expect(allows(method, path)).toBe(true));
});

describe('a call that is not on the list does not pass', () => {
  test.each([
    ['GET', ''],
    ['GET', '/'],
    ['GET', '/v2/x'],
    ['GET', '/V1/x'],
    ['GET', '/v10'],
    ['HEAD', '/v1/x'],
    ['get', '/v1/x'],
    ['POST', '/v1/charges/ch_1'],
    ['POST', '/v1/charges/'],
    ['PUT', '/files/a/b'],
  ])('%s %s', (method, path) => expect(allows(method, path)).toBe(false));
});

describe('a call that some server could read as another one does not pass', () => {
  test.each([
    // Dots.
    '/v1/../admin',
    '/v1/%2e%2e/admin',
    '/v1/.%2E/admin',
    '/v1/x/../../admin',
    '/v1/..',
    // Slashes: merged before dots are resolved, encoded, or of the other kind.
    '/v1//../admin',
    '/v1/x//../../admin',
    '/v1/..%2fadmin',
    '/v1%2F..%2Fadmin',
    '/v1/..\\admin',
    '/v1/..%5Cadmin',
    '/v1\\..\\admin',
    '//v1/x/../../admin',
    // Encoded more than once.
    '/v1/%252e%252e/admin',
    '/v1/..%252fadmin',
    '/v1/%25252e%25252e%25252fadmin',
    // Parameters and queries that are cut off.
    '/v1/..;/admin',
    '/v1/..;a=b/admin',
    '/v1/..%3Ba/admin',
    '/v1/..%3F/admin',
    '/v1/..#/admin',
    // Overlong UTF-8, another encoding, a text that ends before its end.
    '/v1/%C0%AE%C0%AE/admin',
    '/v1/..%C0%AFadmin',
    '/v1/%u002e%u002e/admin',
    '/v1/x%00',
    '/v1/x%0a',
  ])('GET %s', (path) => expect(allows('GET', path)).toBe(false));

  test.each([
    '/files/a%2Fb',
    '/files/a%252Fb',
    '/files/a\\b',
    '/files/%2E%2E%2Fv1',
    '/files/x%3F',
    '/files/x;y',
  ])('PUT %s names one file for all of them, or none', (path) =>
    expect(allows('PUT', path)).toBe(!/%2F|%252F|\\/.test(path)),
  );
});

test('an allowed path stays below its prefix for a server that decodes, merges and resolves', () => {
  const pieces = [
    '..',
    '.',
    '/',
    '//',
    '\\',
    '%2e',
    '%2E%2e',
    '%2f',
    '%5c',
    '%252e',
    '%252f',
    ';',
    ';x',
    '%3b',
    '%00',
    'a',
  ];
  const path = fc
    .array(fc.constantFrom(...pieces), { maxLength: 12, size: 'max' })
    .map((parts) => `/v1/${parts.join('')}`);
  const decode = (text: string) =>
    text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const server = (text: string): string => {
    const read = decode(decode(decode(text)))
      .replaceAll('\\', '/')
      .replace(/;[^/]*/g, '')
      .replace(/\/+/g, '/');
    return new URL(read, 'http://x').pathname;
  };
  const escapes = (text: string) => allows('GET', text) && !/^\/v1(\/|$)/.test(server(text));
  const found = fc.check(
    fc.property(path, (text) => !escapes(text)),
    { numRuns: 5_000 },
  );
  expect(found.counterexample).toBeNull();
});
