import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Due, DueQueue } from '../../src/runtime/due-queue.ts';

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ add: fc.integer({ min: 0, max: 20 }) }) },
  fc.record({ remove: fc.nat() }),
  fc.constant('pop' as const),
);

test('the first entry is always the earliest, whatever was added and removed', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const queue = new DueQueue<Due>();
      const inside = new Set<Due>();
      const take = (entry: Due | undefined) => {
        if (entry === undefined) return;
        queue.remove(entry);
        queue.remove(entry);
        inside.delete(entry);
      };
      for (const one of steps) {
        if (one === 'pop') take(queue.first);
        else if ('remove' in one) take([...inside][one.remove % Math.max(1, inside.size)]);
        else {
          const entry: Due = { dueAt: one.add, place: -1 };
          queue.add(entry);
          inside.add(entry);
        }
        const earliest = Math.min(...[...inside].map(({ dueAt }) => dueAt));
        expect([queue.size, queue.first?.dueAt ?? Infinity]).toEqual([inside.size, earliest]);
      }
    }),
  );
});
