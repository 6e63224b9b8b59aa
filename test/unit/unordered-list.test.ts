import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Roster } from '../../src/server/unordered-list.ts';

test('a roster holds what was added and not yet deleted, whatever the order', () => {
  const steps = fc.array(fc.record({ add: fc.boolean(), pick: fc.nat() }), { maxLength: 200, size: 'max' });
  fc.assert(
    fc.property(steps, (script) => {
      const roster = new Roster<{ place: number }>();
      const expected: { place: number }[] = [];
      for (const { add, pick } of script) {
        if (add || expected.length === 0) {
          const entry = { place: -1 };
          roster.add(entry);
          expected.push(entry);
        } else {
          const [gone] = expected.splice(pick % expected.length, 1);
          roster.delete(gone as { place: number });
        }
        expect(new Set(roster)).toEqual(new Set(expected));
        expect(roster.size).toBe(expected.length);
      }
    }),
    { numRuns: 50, seed: 1 },
  );
});

test('who is deleted while all are visited does not make another be missed', () => {
  const roster = new Roster<{ place: number }>();
  const entries = Array.from({ length: 5 }, () => ({ place: -1 }));
  for (const entry of entries) roster.add(entry);
  const seen: unknown[] = [];
  for (const entry of roster) {
    seen.push(entry);
    roster.delete(entry);
  }
  expect(seen).toEqual(entries);
  expect(roster.size).toBe(0);
});
