import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Router } from '../../src/routing/router.ts';

const SEED = 20_260_101;
const router = new Router([
  {
    mount: { path: '/api' },
    basePath: '/base/v1',
    routes: [{ methods: undefined, path: '/**', route: 'api' }],
  },
]);

/** Pieces that paths and their normalisations are made of. */
const piece = fc.constantFrom(
  '/',
  '//',
  '.',
  '..',
  '%2e',
  '%2E',
  '%2f',
  '%2F',
  '\\',
  '%5c',
  ';x',
  '%3b',
  'a',
  'b',
  '%61',
  '?',
  '&',
  '+',
  '%',
  '%20',
);
const rest = fc.array(piece, { maxLength: 10, size: 'max' }).map((pieces) => pieces.join(''));

test('forwards the base path and the client’s own bytes', () => {
  fc.assert(
    fc.property(rest, (tail) => {
      const found = router.match('GET', undefined, `/api/${tail}`);
      expect(found.kind === 'route' ? found.target : found.kind).toBeOneOf([
        `/base/v1/${tail}`,
        'bad_target',
      ]);
    }),
    { seed: SEED, numRuns: 3_000 },
  );
});

/** Ways in which servers read a path, each harmless in itself. */
const READINGS: readonly ((path: string) => string)[] = [
  (path) => path.replace(/%2e/gi, '.'),
  (path) => path.replace(/%2f/gi, '/'),
  (path) => path.replace(/%5c/gi, '\\'),
  (path) => path.replace(/\\/g, '/'),
  (path) => path.replace(/%3b/gi, ';'),
  (path) => path.replace(/;[^/]*/g, ''),
  (path) => path.replace(/\/+/g, '/'),
];

test('no forwarded path leaves the base path, for any server', () => {
  const climbed: string[] = [];
  fc.assert(
    fc.property(rest, fc.subarray([...READINGS]), (tail, readings) => {
      const found = router.match('GET', undefined, `/api/${tail}`);
      if (found.kind !== 'route') return;
      const read = readings.reduce((path, reading) => reading(path), found.target.replace(/\?.*/, ''));
      const stack: string[] = [];
      for (const [index, segment] of read.split('/').slice(1).entries()) {
        if (segment === '..') stack.pop();
        else if (segment !== '.') stack.push(segment);
        if (index > 0 && stack.slice(0, 2).join('/') !== 'base/v1') climbed.push(tail);
      }
    }),
    { seed: SEED, numRuns: 20_000 },
  );
  expect(climbed).toEqual([]);
});
