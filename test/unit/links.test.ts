import { describe, expect, test } from 'vitest';
import { mountedLinks } from '../../src/http/links.ts';

const PLACE = { origin: 'https://api.example.com', basePath: '/v2', mount: '/api' };
const mounted = (name: string, value: string, place = PLACE) =>
  mountedLinks(['x-a', '1', name, value], place)[3];

describe('a Location', () => {
  test.each([
    ['https://api.example.com/v2/things?page=2#end', '/api/things?page=2#end'],
    ['HTTPS://API.example.com:443/v2/things', '/api/things'],
    ['https://api.example.com/v2', '/api'],
    ['https://api.example.com/v2/', '/api/'],
    ['https://api.example.com/v2?a=%20', '/api?a=%20'],
    // Outside of the path of url, at another host, or relative.
    ['https://api.example.com/v20/things', 'https://api.example.com/v20/things'],
    ['https://api.example.com/', 'https://api.example.com/'],
    ['https://api.example.com.evil.example/v2/x', 'https://api.example.com.evil.example/v2/x'],
    ['https://user@api.example.com/v2/x', 'https://user@api.example.com/v2/x'],
    ['http://api.example.com/v2/x', 'http://api.example.com/v2/x'],
    ['/v2/things', '/v2/things'],
    ['//api.example.com/v2/x', '//api.example.com/v2/x'],
    // Clients would resolve it to a path outside of the mount.
    ['https://api.example.com/v2/../../other', 'https://api.example.com/v2/../../other'],
    ['https://api.example.com/v2/%2e%2e/x/../v2/y', 'https://api.example.com/v2/%2e%2e/x/../v2/y'],
    ['https://api.example.com/v2/a\\b', 'https://api.example.com/v2/a\\b'],
    ['not a URL', 'not a URL'],
  ])('%s becomes %s', (value, expected) => {
    expect(mounted('Location', value)).toBe(expected);
  });

  test('at the root, of a whole host', () => {
    const place = { origin: 'https://api.example.com', basePath: '', mount: '' };
    expect(mounted('location', 'https://api.example.com', place)).toBe('/');
    expect(mounted('location', 'https://api.example.com/a?b', place)).toBe('/a?b');
  });
});

test('each target of a Link, and the fields of asynchronous operations', () => {
  const link =
    '<https://api.example.com/v2/a?page=2>; rel="next", </v2/b>; rel="x", <https://other.example/>; title="<"';
  expect(mounted('Link', link)).toBe(
    '</api/a?page=2>; rel="next", </v2/b>; rel="x", <https://other.example/>; title="<"',
  );
  for (const name of ['Content-Location', 'Operation-Location', 'Azure-AsyncOperation'])
    expect(mounted(name, 'https://api.example.com/v2/op/1')).toBe('/api/op/1');
  expect(mounted('x-other', 'https://api.example.com/v2/op/1')).toBe('https://api.example.com/v2/op/1');
});

test('a list without links is returned as it is', () => {
  const headers = ['content-type', 'text/plain'];
  expect(mountedLinks(headers, PLACE)).toBe(headers);
});
