import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FairQueue, type FairQueueOptions, type Place } from '../../src/runtime/fair-queue.ts';

const SEED = 20_260_102;
const ANY = () => 'yes' as const;

function queueOf(
  capacity: number,
  order: FairQueueOptions<string>['order'] = 'oldest',
  evicted: string[] = [],
): FairQueue<string> {
  return new FairQueue({ capacity, order, evict: (entry) => evicted.push(entry) });
}

function shiftAll(queue: FairQueue<string>): string {
  let taken = '';
  for (let entry = queue.shift(ANY); entry !== undefined; entry = queue.shift(ANY)) taken += entry;
  return taken;
}

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('push' as const), client: fc.integer({ min: 0, max: 4 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('shift' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), which: fc.nat(20) }) },
);

test('the queue is bounded, reports every lost entry, and is first in, first out for each client', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10 }),
      fc.array(step, { maxLength: 200, size: 'max' }),
      (capacity, steps) => {
        const evicted: number[] = [];
        const queue = new FairQueue<{ id: number; client: string }>({
          capacity,
          order: 'oldest',
          evict: ({ id }) => evicted.push(id),
        });
        const inside = new Map<number, Place<{ id: number; client: string }>>();
        const lastOut = new Map<string, number>();
        const wrong: string[] = [];
        let id = 0;
        for (const one of steps) {
          if (one.kind === 'push') {
            const entry = { id: ++id, client: String(one.client) };
            const place = queue.push(entry.client, entry, false);
            for (const gone of evicted.splice(0)) inside.delete(gone);
            if (place !== undefined) inside.set(entry.id, place);
          } else if (one.kind === 'shift') {
            const out = queue.shift(ANY);
            if (out === undefined) continue;
            if (out.id <= (lastOut.get(out.client) ?? 0)) wrong.push(`${out.id} out of order`);
            lastOut.set(out.client, out.id);
            inside.delete(out.id);
          } else {
            const place = [...inside.values()][one.which];
            if (place === undefined) continue;
            queue.remove(place);
            queue.remove(place);
            inside.delete(place.entry.id);
          }
          expect(queue.size).toBe(inside.size);
          expect(queue.size).toBeLessThanOrEqual(capacity);
          expect(queue.entries().length).toBe(queue.size);
        }
        expect(wrong).toEqual([]);
      },
    ),
  );
});

test('clients take turns: a client with ten entries gets no more than a client with one', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 2, maxLength: 6 }), (lanes) => {
      const queue = queueOf(1_000);
      lanes.forEach((count, client) => {
        for (let i = 0; i < count; i++) queue.push(String(client), String(client), false);
      });
      const got = new Map<string, number>();
      const fewest = Math.min(...lanes);
      for (let turn = 0; turn < fewest * lanes.length; turn++) {
        const client = queue.shift(ANY) ?? '';
        got.set(client, (got.get(client) ?? 0) + 1);
      }
      expect([...got.values()]).toEqual(lanes.map(() => fewest));
    }),
  );
});

test('a full queue accepts a client that has less than its share', () => {
  const evicted: string[] = [];
  const queue = queueOf(10, 'oldest', evicted);
  for (let i = 0; i < 10; i++) queue.push('many', `many ${i}`, false);
  expect(queue.push('many', 'many more', false)).toBeUndefined();
  expect(queue.ahead('few', () => true)).toBe(1);
  expect(queue.push('few', 'few', false)).toBeDefined();
  expect(evicted).toEqual(['many 9']);
  expect([queue.shift(ANY), queue.shift(ANY)]).toEqual(['many 0', 'few']);
});

test('a client replaces an entry of another only if it then has no more entries than that one', () => {
  const evicted: string[] = [];
  const queue = queueOf(4, 'oldest', evicted);
  for (const entry of ['many 1', 'many 2', 'many 3']) queue.push('many', entry, false);
  queue.push('few', 'few 1', false);
  expect([queue.push('few', 'few 2', false)?.entry, evicted]).toEqual(['few 2', ['many 3']]);
  expect([queue.push('few', 'few 3', false), queue.push('many', 'many 4', false)]).toEqual([
    undefined,
    undefined,
  ]);
  const uneven = queueOf(3, 'oldest', evicted);
  for (const client of ['many', 'many', 'few']) uneven.push(client, client, false);
  expect(uneven.push('few', 'few', false)).toBeUndefined();
});

test('a client whose entries have all left has no turn left', () => {
  const queue = queueOf(10);
  queue.remove(queue.push('a', 'left', false)!);
  queue.push('b', 'b', false);
  queue.push('a', 'a', false);
  expect(shiftAll(queue)).toBe('ba');
});

test('an entry that may go is served before entries that may not, unless they wait for a shared resource', () => {
  const queue = queueOf(10);
  for (const entry of ['held 1', 'held 2', 'free 1']) queue.push('a', entry, false);
  queue.push('b', 'free 2', false);
  const free = (entry: string) => (entry.startsWith('free') ? 'yes' : 'no');
  expect([queue.shift(free), queue.shift(free), queue.shift(free)]).toEqual(['free 1', 'free 2', undefined]);
  queue.push('b', 'free 3', false);
  expect(queue.shift((entry) => (entry.startsWith('free') ? 'yes' : 'stop'))).toBeUndefined();
  expect(queue.size).toBe(3);
});

// --- adaptive order ---

test('the oldest is first while the queue is at most half full, then the newest', () => {
  const queue = queueOf(8, 'adaptive');
  for (const entry of 'abcd') queue.push('x', entry, false);
  expect(shiftAll(queue)).toBe('abcd');
  for (const entry of 'abcdef') queue.push('x', entry, false);
  expect(shiftAll(queue)).toBe('feabcd');
});

test('an entry that was served before is first in either order', () => {
  const queue = queueOf(8, 'adaptive');
  for (const entry of 'abcde') queue.push('x', entry, false);
  queue.push('x', 'A', true);
  expect(shiftAll(queue)).toBe('Aeabcd');
});

test('a full queue evicts the entry that it would serve last', () => {
  const evicted: string[] = [];
  const queue = queueOf(4, 'adaptive', evicted);
  for (const entry of 'abc') queue.push('many', entry, false);
  queue.push('many', 'A', true);
  queue.push('few', 'f', false);
  expect(evicted).toEqual(['a']);
  expect(shiftAll(queue)).toBe('Afbc');
});

test('a queue with capacity 0 accepts nothing that is new', () => {
  expect(queueOf(0, 'adaptive').push('a', 'x', false)).toBeUndefined();
});

test('entries that were served before are accepted by a full queue, and evict none', () => {
  const evicted: string[] = [];
  const queue = queueOf(2, 'adaptive', evicted);
  queue.push('x', 'a', false);
  queue.push('y', 'b', false);
  for (const entry of 'ABC') expect(queue.push('x', entry, true)).toBeDefined();
  expect([evicted, queue.size]).toEqual([[], 5]);
  expect(queue.push('y', 'c', false)).toBeDefined();
  expect(evicted).toEqual(['a']);
  expect(queue.push('x', 'd', false)).toBeUndefined();
});

test('entries that were served before keep their order, and the newest of them is evicted first', () => {
  const evicted: string[] = [];
  const queue = queueOf(4, 'adaptive', evicted);
  for (const entry of 'ABCD') queue.push('x', entry, true);
  queue.push('y', 'f', false);
  expect(evicted).toEqual(['D']);
  expect(shiftAll(queue)).toBe('AfBC');
});

const listStep = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('push' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('shift' as const), skip: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), pick: fc.nat() }) },
);

test('for one client the queue behaves like a list', () => {
  fc.assert(
    fc.property(fc.nat(8), fc.array(listStep, { maxLength: 200, size: 'max' }), (capacity, sequence) => {
      const queue = new FairQueue<number>({ capacity, order: 'adaptive', evict: () => undefined });
      let list: Place<number>[] = [];
      const places: Place<number>[] = [];
      const got: unknown[] = [];
      const expected: unknown[] = [];
      for (const [number, next] of sequence.entries()) {
        if (next.do === 'push') {
          const place = queue.push('x', number, false);
          got.push(place !== undefined);
          expected.push(list.length < capacity);
          if (place === undefined) continue;
          list.push(place);
          places.push(place);
        } else if (next.do === 'leave' && places.length > 0) {
          const leaver = places[next.pick % places.length]!;
          queue.remove(leaver);
          list = list.filter((place) => place !== leaver);
        } else if (next.do === 'shift') {
          const order = list.length * 2 > capacity ? list.toReversed() : list;
          const may = (entry: number) => entry % 4 !== next.skip;
          const first = order.find(({ entry }) => may(entry));
          list = list.filter((place) => place !== first);
          got.push(queue.shift((entry) => (may(entry) ? 'yes' : 'no')));
          expected.push(first?.entry);
        }
        expect(queue.size).toBe(list.length);
      }
      expect(got).toEqual(expected);
    }),
    { seed: SEED, numRuns: 200 },
  );
});
