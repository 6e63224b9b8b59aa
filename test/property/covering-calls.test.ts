import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matchesParts } from '../../src/http/wildcard.ts';
import { type Calls, CoveringCalls } from '../../src/routing/pattern-covers.ts';

const SEED = 20_261_130;

/** The rules for one pair, as plainly as possible. */
function covers(wide: Calls, narrow: Calls): boolean {
  const { methods } = wide;
  const methodsFit = methods === undefined || narrow.methods?.every((method) => methods.includes(method));
  return methodsFit === true && pathCovers(wide.path.split('/').slice(1), narrow.path.split('/').slice(1));
}

function pathCovers(wide: readonly string[], narrow: readonly string[]): boolean {
  const [first, ...rest] = wide;
  if (first === undefined) return narrow.length === 0;
  if (first === '**')
    return Array.from({ length: narrow.length + 1 }, (_, skipped) => narrow.slice(skipped)).some((left) =>
      pathCovers(rest, left),
    );
  const [segment, ...others] = narrow;
  return segment !== undefined && segmentCovers(first, segment) && pathCovers(rest, others);
}

const isAny = (segment: string) => segment === '*' || segment.startsWith(':');

function segmentCovers(wide: string, narrow: string): boolean {
  if (narrow === '**') return false;
  if (isAny(wide) || wide === narrow) return true;
  return !isAny(narrow) && !narrow.includes('*') && matchesParts(narrow, wide.split('*'));
}

const segment = fc.constantFrom('a', 'b', 'a.b', '*', ':id', ':other', '**', '*.b', 'a*', 'a*b', '');
const calls: fc.Arbitrary<Calls> = fc.record({
  methods: fc.option(fc.uniqueArray(fc.constantFrom('GET', 'POST', 'PUT'), { minLength: 1 }), {
    nil: undefined,
  }),
  path: fc.array(segment, { maxLength: 4 }).map((segments) => `/${segments.join('/')}`),
});

test('the first route that takes all calls of another is the one that a search of all pairs finds', () => {
  fc.assert(
    fc.property(fc.array(calls, { maxLength: 30 }), fc.array(calls, { minLength: 1 }), (routes, asked) => {
      const covering = new CoveringCalls();
      for (const [index, route] of routes.entries()) {
        const pairwise = routes.slice(0, index).findIndex((earlier) => covers(earlier, route));
        expect(covering.firstFor(route) ?? -1).toBe(pairwise);
        covering.add(route);
      }
      for (const route of asked)
        expect(covering.firstFor(route) ?? -1).toBe(routes.findIndex((one) => covers(one, route)));
    }),
    { seed: SEED, numRuns: 3_000 },
  );
});

test.each([
  ['/a/**', '/a/b/c', true],
  ['/a/**', '/a', true],
  ['/a/*', '/a/:id', true],
  ['/a/:id', '/a/b', true],
  ['/a/b', '/a/:id', false],
  ['/a/*', '/a/**', false],
  ['/**', '/**', true],
  ['/**/z', '/a/b/z', true],
  ['/api/*.list', '/api/users.list', true],
  ['/api/*.list', '/api/users.info', false],
  ['/api/*.list', '/api/*', false],
])('%s covers %s: %s', (wide, narrow, covered) => {
  const first = (methods: readonly string[] | undefined, asked: readonly string[] | undefined) =>
    new CoveringCalls([{ methods, path: wide }]).firstFor({ methods: asked, path: narrow });
  expect(first(undefined, ['GET'])).toBe(covered ? 0 : undefined);
  expect(first(['POST'], undefined)).toBeUndefined();
});
