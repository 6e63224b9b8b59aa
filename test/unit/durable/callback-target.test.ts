import { expect, test } from 'vitest';
import { allowsCallback, callbackRule } from '../../../src/durable/callbacks/target.ts';

const allows = (rule: string, url: string) => allowsCallback([rule], new URL(url));

test('a rule has scheme, host, port and path; defaults are https, the port of the scheme and every path', () => {
  expect(callbackRule('app.internal')).toEqual({
    scheme: 'https:',
    host: 'app.internal',
    port: '',
    path: '/**',
  });
  expect(callbackRule('HTTP://App.Internal:80/hooks/*')).toEqual({
    scheme: 'http:',
    host: 'app.internal',
    port: '',
    path: '/hooks/*',
  });
  expect(callbackRule('https://[::1]:8443')).toMatchObject({ host: '[::1]', port: '8443' });
});

test.each([
  '',
  '*',
  '*.',
  'ftp://app.internal',
  'https://u@app.internal',
  'https://app internal',
  '*.10.0.0.1',
])('%j is not a rule', (text) => expect(callbackRule(text)).toBeUndefined());

test('a wildcard matches subdomains, but neither the host itself nor a host with the same ending', () => {
  expect(allows('*.example.com', 'https://a.example.com/x')).toBe(true);
  expect(allows('*.example.com', 'https://a.b.example.com/x')).toBe(true);
  expect(allows('*.example.com', 'https://example.com/x')).toBe(false);
  expect(allows('*.example.com', 'https://badexample.com/x')).toBe(false);
  expect(allows('*.example.com', 'https://a.example.com.evil.org/x')).toBe(false);
  expect(allows('*.example.com', 'https://a.example.com./x')).toBe(false);
});

test('scheme, port and path must match', () => {
  expect(allows('app.internal', 'http://app.internal/')).toBe(false);
  expect(allows('app.internal', 'https://app.internal:8443/')).toBe(false);
  expect(allows('app.internal', 'https://app.internal:443/')).toBe(true);
  expect(allows('https://app.internal/hooks/*', 'https://app.internal/hooks/a')).toBe(true);
  expect(allows('https://app.internal/hooks/*', 'https://app.internal/hooks/a/b')).toBe(false);
  expect(allows('https://app.internal/hooks/**', 'https://app.internal/hooks/a%2f..%2f..%2fadmin')).toBe(
    false,
  );
});
