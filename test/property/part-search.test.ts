import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PartSearch } from '../../src/policies/stream/part-search.ts';

/** Few letters, so that parts are often found, or nearly. */
const text = (max: number) => fc.string({ unit: fc.constantFrom('a', 'b', '"'), maxLength: max });

test('a part is found where a text search finds it, within the range only', () => {
  fc.assert(
    fc.property(
      fc.array(
        text(6).map((part) => `${part}a`),
        { maxLength: 3 },
      ),
      text(60),
      fc.nat(60),
      fc.nat(60),
      (parts, all, a, b) => {
        const [from, to] = [Math.min(a, b, all.length), Math.min(Math.max(a, b), all.length)];
        const expected = parts.some((part) => all.slice(from, to).includes(part));
        expect(new PartSearch(parts).isIn(Buffer.from(all), from, to)).toBe(expected);
      },
    ),
    { seed: 15, numRuns: 2_000 },
  );
});

test('a part longer than the largest shift is found', () => {
  const part = 'x'.repeat(300) + 'y'.repeat(300);
  const bytes = Buffer.from(`xx${part}yy`);
  const search = new PartSearch([part]);
  expect([
    search.isIn(bytes, 0, bytes.length),
    search.isIn(bytes, 0, 601),
    search.isIn(bytes, 3, bytes.length),
  ]).toEqual([true, false, false]);
});
