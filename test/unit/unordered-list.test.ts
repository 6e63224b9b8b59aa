import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UnorderedList } from '../../src/server/unordered-list.ts';

test('a list holds the entries that were added and not deleted', () => {
  const steps = fc.array(fc.record({ add: fc.boolean(), pick: fc.nat() }), { maxLength: 200, size: 'max' });
  fc.assert(
    fc.property(steps, (script) => {
      const list = new UnorderedList<{ index: number }>();
      const expected: { index: number }[] = [];
      for (const { add, pick } of script) {
        if (add || expected.length === 0) {
          const entry = { index: -1 };
          list.add(entry);
          expected.push(entry);
        } else {
          const [gone] = expected.splice(pick % expected.length, 1);
          list.delete(gone as { index: number });
        }
        expect(new Set(list)).toEqual(new Set(expected));
        expect(list.size).toBe(expected.length);
      }
    }),
    { numRuns: 50, seed: 1 },
  );
});

test('deleting entries during iteration skips none', () => {
  const list = new UnorderedList<{ index: number }>();
  const entries = Array.from({ length: 5 }, () => ({ index: -1 }));
  for (const entry of entries) list.add(entry);
  const seen: unknown[] = [];
  for (const entry of list) {
    seen.push(entry);
    list.delete(entry);
  }
  expect(seen).toEqual(entries);
  expect(list.size).toBe(0);
});
