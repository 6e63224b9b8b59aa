import { describe, expect, test } from 'vitest';
import { checkPathPattern } from '../../src/config/fields/words.ts';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/read/problem.ts';
import { Router } from '../../src/routing/router.ts';

describe('a path pattern that can match no call is refused, with the fix', () => {
  test.each([
    ['/v1/charges/{id}', 'write :id, or * for any segment'],
    ['/v1/{id}.json', 'write :id, or * for any segment'],
    ['/v1/(a|b)', 'write one route for each alternative'],
    ['^/v1/.*', 'not a path pattern; write for example /v1/**'],
    ['/v1/x$', 'not a path pattern; write for example /v1/**'],
    ['/v1/.*', '".*" is a regular expression; write * or **'],
    ['/v1/.+', '".+" is a regular expression; write * or **'],
    ['/v1/[a-z]', '"[" is never in a path unencoded; write %5B'],
    ['/v1/a\\.json', '"\\" is never in a path unencoded; write %5C'],
    ['/v1/:id.json', 'a name takes the whole segment; write * for a part of it'],
    ['/v1/:id(\\d+)', 'a name takes the whole segment; write * for a part of it'],
    ['/v1/café', '"é" is never in a path unencoded; write %C3%A9'],
    ['/v1/a%2fb', '"%2f" never matches, because paths are normalised; write %2F'],
    ['/v1/%41', '"%41" never matches, because paths are normalised; write A'],
    ['/v1/100%', '"%" never matches, because paths are normalised; write %25'],
  ])('%s: %s', (path, fix) => {
    expect(checkPathPattern(path)).toContain(fix);
  });

  test.each([
    ['/x/*.json', '/x/a.json'],
    ['/a%2Fb', '/a%2fb'],
    ["/odata/Users('x')", "/odata/Users('x')"],
    ['/odata/$metadata', '/odata/$metadata'],
    ['/v1/:charge_id/refunds', '/v1/ch_1/refunds'],
    ['/v1/models/*:generate', '/v1/models/gemini:generate'],
    ['/a//b', '/a//b'],
    ['/**', '/'],
    ['/caf%C3%A9', '/caf%c3%a9'],
  ])('%s passes, and matches %s', (pattern, path) => {
    expect(checkPathPattern(pattern)).toBeUndefined();
    const routes = [{ methods: undefined, path: pattern, route: 'found' }];
    const router = new Router([{ mount: { path: '' }, basePath: '', routes }]);
    expect(router.match('GET', undefined, path)).toMatchObject({ kind: 'route' });
  });
});

const load = (upstream: string) => {
  const loaded = loadConfig('config.yaml', {}, () => `upstreams:\n  a: { ${upstream} }\n`);
  return (loaded.ok ? loaded.warnings : loaded.problems).map(formatProblem);
};

test.each([
  'https://{shop}.myshopify.com',
  'https://<shop>.myshopify.com',
  'https://api.example.com/{tenant}',
])('a placeholder in url is refused: %s', (url) => {
  expect(load(`url: "${url}"`).join()).toMatch(/^config\.yaml:2:13 {2}upstreams\.a\.url: /);
});

test('a placeholder in url is refused with the fix', () => {
  expect(load('url: "https://{shop}.myshopify.com"').join()).toContain(
    'nothing fills {shop}; write mount: { path: "/a/{shop}" }, or tenant: { header: x-tenant }, or vars: { shop: … }',
  );
  expect(load('url: "https://example.com/{shop}"').join()).toContain('write ${NAME}');
});

test('a route that the allow-list denies completely gives a warning', () => {
  const of = (allow: string, match: string) =>
    load(`url: https://a.example, allow: ["${allow}"], routes: [{ match: { ${match} } }]`);
  expect(of('GET /v1/**', 'path: /v2/x')).toEqual([
    'config.yaml:2:64  upstreams.a.routes[0]: is never used, because allow permits none of its calls; add them to allow',
  ]);
  expect(of('GET /v1/**', 'method: POST, path: /v1/x')).toHaveLength(1);
  expect(of('GET /v1/*/x', 'path: "/v1/:id/x"')).toEqual([]);
  expect(of('GET /**/x', 'path: "/a/**"')).toEqual([]);
  expect(of('GET /a*', 'method: GET, path: /ab')).toEqual([]);
});
