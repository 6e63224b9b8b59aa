import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pathPattern } from '../../src/routing/path-pattern.ts';
import { RouteIndex } from '../../src/routing/route-index.ts';
import { Router } from '../../src/routing/router.ts';

const SEED = 20_261_130;
const METHODS = ['GET', 'POST'];

const segment = fc.constantFrom('a', 'b', 'c', '*', ':id', '**', 'a*', '*b', '');
const pattern = fc.record({
  methods: fc.option(fc.subarray(METHODS, { minLength: 1 }), { nil: undefined }),
  path: fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`),
});
const path = fc
  .array(fc.constantFrom('a', 'b', 'c', 'ab', ''), { maxLength: 5 })
  .map((parts) => parts.map((part) => `/${part}`).join(''));

test('the index finds the route that a search in order finds', () => {
  fc.assert(
    fc.property(
      fc.array(pattern, { maxLength: 12 }),
      fc.constantFrom(...METHODS),
      path,
      (patterns, method, called) => {
        const routes = patterns.map((one, route) => ({ ...one, route }));
        const inOrder = routes.find(
          (one) => (one.methods?.includes(method) ?? true) && pathPattern(one.path)(called),
        );
        expect(new RouteIndex(routes).find(method, called)).toBe(inOrder?.route);
      },
    ),
    { seed: SEED, numRuns: 5_000 },
  );
});

test('the longest mount wins, and of two equal hosts the first one', () => {
  const mounted = (mount: { path: string } | { host: string }, route: string) => ({
    mount,
    basePath: '',
    routes: [{ methods: undefined, path: '/**', route }],
  });
  const router = new Router([
    mounted({ path: '/' }, 'root'),
    mounted({ path: '/a' }, 'a'),
    mounted({ path: '/a/b' }, 'a/b'),
    mounted({ host: 'one.example' }, 'host'),
    mounted({ host: 'ONE.example' }, 'later host'),
  ]);
  const routeOf = (target: string, host?: string) => {
    const match = router.match('GET', host, target);
    return match.kind === 'route' ? match.route : match.kind;
  };
  expect(
    ['/', '/x', '/ab', '/a', '/a/', '/a/c', '/a/b', '/a/b/c', '/a/bc', '//a'].map((at) => routeOf(at)),
  ).toEqual(['root', 'root', 'root', 'a', 'a', 'a', 'a/b', 'a/b', 'a', 'root']);
  expect([routeOf('/a', 'one.example:80'), routeOf('/a', 'two.example')]).toEqual(['host', 'a']);
});
