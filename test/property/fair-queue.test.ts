import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FairQueue, type FairQueueOptions, type Place } from '../../src/runtime/fair-queue.ts';

const SEED = 20_260_102;
const ANY = () => 'yes' as const;
const of = (client: string, rank = 1, part = '') => ({ client, part, rank });

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
            const place = queue.push(of(entry.client), entry, false);
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
        for (let i = 0; i < count; i++) queue.push(of(String(client)), String(client), false);
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
  for (let i = 0; i < 10; i++) queue.push(of('many'), `many ${i}`, false);
  expect(queue.push(of('many'), 'many more', false)).toBeUndefined();
  expect(queue.ahead(of('few'), () => true)).toBe(1);
  expect(queue.push(of('few'), 'few', false)).toBeDefined();
  expect(evicted).toEqual(['many 9']);
  expect([queue.shift(ANY), queue.shift(ANY)]).toEqual(['many 0', 'few']);
});

test('a client replaces an entry of another only if it then has no more entries than that one', () => {
  const evicted: string[] = [];
  const queue = queueOf(4, 'oldest', evicted);
  for (const entry of ['many 1', 'many 2', 'many 3']) queue.push(of('many'), entry, false);
  queue.push(of('few'), 'few 1', false);
  expect([queue.push(of('few'), 'few 2', false)?.entry, evicted]).toEqual(['few 2', ['many 3']]);
  expect([queue.push(of('few'), 'few 3', false), queue.push(of('many'), 'many 4', false)]).toEqual([
    undefined,
    undefined,
  ]);
  const uneven = queueOf(3, 'oldest', evicted);
  for (const client of ['many', 'many', 'few']) uneven.push(of(client), client, false);
  expect(uneven.push(of('few'), 'few', false)).toBeUndefined();
});

test('a client whose entries have all left has no turn left', () => {
  const queue = queueOf(10);
  queue.remove(queue.push(of('a'), 'left', false)!);
  queue.push(of('b'), 'b', false);
  queue.push(of('a'), 'a', false);
  expect(shiftAll(queue)).toBe('ba');
});

test('an entry that may go is served before entries that may not, unless they wait for a shared resource', () => {
  const queue = queueOf(10);
  for (const entry of ['held 1', 'held 2', 'free 1']) queue.push(of('a'), entry, false);
  queue.push(of('b'), 'free 2', false);
  const free = (entry: string) => (entry.startsWith('free') ? 'yes' : 'no');
  expect([queue.shift(free), queue.shift(free), queue.shift(free)]).toEqual(['free 1', 'free 2', undefined]);
  queue.push(of('b'), 'free 3', false);
  expect(queue.shift((entry) => (entry.startsWith('free') ? 'yes' : 'stop'))).toBeUndefined();
  expect(queue.size).toBe(3);
});

// --- adaptive order ---

test('the oldest is first while the queue is at most half full, then the newest', () => {
  const queue = queueOf(8, 'adaptive');
  for (const entry of 'abcd') queue.push(of('x'), entry, false);
  expect(shiftAll(queue)).toBe('abcd');
  for (const entry of 'abcdef') queue.push(of('x'), entry, false);
  expect(shiftAll(queue)).toBe('feabcd');
});

test('an entry that was served before is first in either order', () => {
  const queue = queueOf(8, 'adaptive');
  for (const entry of 'abcde') queue.push(of('x'), entry, false);
  queue.push(of('x'), 'A', true);
  expect(shiftAll(queue)).toBe('Aeabcd');
});

test('a full queue evicts the entry that it would serve last', () => {
  const evicted: string[] = [];
  const queue = queueOf(4, 'adaptive', evicted);
  for (const entry of 'abc') queue.push(of('many'), entry, false);
  queue.push(of('many'), 'A', true);
  queue.push(of('few'), 'f', false);
  expect(evicted).toEqual(['a']);
  expect(shiftAll(queue)).toBe('Afbc');
});

test('what one queue holds is in no other one', () => {
  const [one, other] = [queueOf(3), queueOf(3)];
  one.push(of('a'), 'x', false);
  expect([one.size, other.size]).toEqual([1, 0]);
  expect(queueOf(3).shift(ANY)).toBeUndefined();
});

test('a queue with capacity 0 accepts nothing that is new', () => {
  expect(queueOf(0, 'adaptive').push(of('a'), 'x', false)).toBeUndefined();
});

test('entries that were served before are accepted by a full queue, and evict none', () => {
  const evicted: string[] = [];
  const queue = queueOf(2, 'adaptive', evicted);
  queue.push(of('x'), 'a', false);
  queue.push(of('y'), 'b', false);
  for (const entry of 'ABC') expect(queue.push(of('x'), entry, true)).toBeDefined();
  expect([evicted, queue.size]).toEqual([[], 5]);
  expect(queue.push(of('y'), 'c', false)).toBeDefined();
  expect(evicted).toEqual(['a']);
  expect(queue.push(of('x'), 'd', false)).toBeUndefined();
});

test('entries that were served before keep their order, and the newest of them is evicted first', () => {
  const evicted: string[] = [];
  const queue = queueOf(4, 'adaptive', evicted);
  for (const entry of 'ABCD') queue.push(of('x'), entry, true);
  queue.push(of('y'), 'f', false);
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
          const place = queue.push(of('x'), number, false);
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

// --- classes ---

const [HIGH, NORMAL, LOW] = [0, 1, 2] as const;

function classes(
  capacity: number,
  waiting: Readonly<Record<string, readonly [rank: number, count: number]>>,
) {
  const evicted: string[] = [];
  const queue = queueOf(capacity, 'oldest', evicted);
  for (const [client, [rank, count]] of Object.entries(waiting))
    for (let i = 0; i < count; i++) queue.push(of(client, rank), client, false);
  return { queue, evicted };
}

test('a higher class is served first, and a single entry of it waits for no other', () => {
  const { queue } = classes(1_000, { l: [LOW, 400], n: [NORMAL, 2], h: [HIGH, 2] });
  expect([1, 2, 3, 4, 5].map(() => queue.shift(ANY)).join('')).toBe('hhnnl');
  for (let call = 0; call < 30; call++) {
    queue.push(of('h', HIGH), 'h', false);
    expect(queue.shift(ANY)).toBe('h');
    expect(queue.shift(ANY)).toBe('l');
  }
});

test('a tenth is served of lower classes while a higher one always waits', () => {
  const { queue } = classes(1_000, { h: [HIGH, 300], l: [LOW, 300] });
  const served = Array.from({ length: 200 }, () => queue.shift(ANY)).join('');
  expect(served).toBe('hhhhhhhhhl'.repeat(20));
});

test('two lower classes share the tenth, and none starves', () => {
  const { queue } = classes(1_000, { h: [HIGH, 400], n: [NORMAL, 100], l: [LOW, 100] });
  const served = Array.from({ length: 200 }, () => queue.shift(ANY));
  expect(served.filter((client) => client === 'n')).toHaveLength(10);
  expect(served.filter((client) => client === 'l')).toHaveLength(10);
});

test('the tenth is one of the cost, so expensive entries of a lower class do not take more', () => {
  const costs: Record<string, number> = { h: 1, l: 20 };
  const queue = new FairQueue<string>({
    capacity: 2_000,
    order: 'oldest',
    evict: () => undefined,
    costOf: (entry) => costs[entry] ?? 0,
  });
  for (let i = 0; i < 1_000; i++) queue.push(of('h', HIGH), 'h', false);
  for (let i = 0; i < 50; i++) queue.push(of('l', LOW), 'l', false);
  let [high, low] = [0, 0];
  while (high < 900) {
    if (queue.shift(ANY) === 'h') high++;
    else low += 20;
  }
  expect(low).toBe(80);
  expect(low / (low + high)).toBeLessThanOrEqual(0.1);
});

test('a lower class that was blocked does not save its turns', () => {
  const { queue } = classes(1_000, { h: [HIGH, 300], l: [LOW, 300] });
  const onlyHigh = (entry: string) => (entry === 'h' ? 'yes' : 'no');
  for (let i = 0; i < 200; i++) queue.shift(onlyHigh);
  const served = Array.from({ length: 20 }, () => queue.shift(ANY)).join('');
  expect(served.replaceAll('h', '').length).toBeLessThanOrEqual(3);
});

test('a full queue of low entries takes high ones, down to a tenth for the low', () => {
  const { queue, evicted } = classes(100, { l: [LOW, 100] });
  const accepted = Array.from({ length: 100 }, () => queue.push(of('h', HIGH), 'h', false));
  expect(accepted.filter((place) => place !== undefined)).toHaveLength(90);
  expect(evicted).toEqual(Array.from({ length: 90 }, () => 'l'));
  expect(queue.size).toBe(100);
});

test('a client that floods the highest class leaves a tenth of the places to lower ones', () => {
  const { queue, evicted } = classes(100, { h: [HIGH, 100] });
  const accepted = Array.from({ length: 20 }, (_, i) => queue.push(of(`l${i}`, LOW), 'l', false));
  expect(accepted.filter((place) => place !== undefined)).toHaveLength(10);
  expect(evicted).toEqual(Array.from({ length: 10 }, () => 'h'));
});

test('clients of one class take turns, and so do the parts of a client within its turns', () => {
  const queue = queueOf(100);
  for (const part of 'aaaabc') queue.push(of('app', NORMAL, part), part, false);
  for (const entry of 'xyz') queue.push(of('other', NORMAL), entry, false);
  expect(shiftAll(queue)).toBe('axbyczaaa');
});

test('a client does not get more places by inventing parts', () => {
  const evicted: string[] = [];
  const queue = queueOf(4, 'oldest', evicted);
  for (const part of 'abcd') queue.push(of('app', NORMAL, part), part, false);
  expect(queue.push(of('app', NORMAL, 'e'), 'e', false)).toBeUndefined();
  expect(queue.push(of('other', NORMAL), 'x', false)).toBeDefined();
  expect(queue.push(of('other', NORMAL), 'y', false)).toBeDefined();
  expect(queue.push(of('other', NORMAL), 'z', false)).toBeUndefined();
  expect(evicted).toHaveLength(2);
});

test('a high entry counts what is served before it, and not what waits below it', () => {
  const { queue } = classes(1_000, { l: [LOW, 400], h: [HIGH, 3] });
  const all = () => true;
  expect(queue.ahead(of('x', HIGH), all)).toBe(1);
  expect(queue.ahead(of('h', HIGH), all)).toBe(3);
  expect(queue.ahead(of('l', LOW), all)).toBe(403);
  expect(queue.ahead(of('x', LOW), all)).toBe(4);
});

test('no class starves, and no entry is lost, in any order of arrivals', () => {
  const arrival = fc.record({ rank: fc.integer({ min: 0, max: 2 }), client: fc.constantFrom('a', 'b') });
  fc.assert(
    fc.property(fc.array(arrival, { minLength: 30, maxLength: 100, size: 'max' }), (arrivals) => {
      const queue = new FairQueue<number>({ capacity: 1_000, order: 'oldest', evict: () => undefined });
      for (const { rank, client } of arrivals) queue.push(of(client, rank), rank, false);
      const waiting = [0, 1, 2].map((rank) => arrivals.filter((one) => one.rank === rank).length);
      let passed = 0;
      for (let left = arrivals.length; left > 0; left--) {
        const rank = queue.shift(ANY) ?? -1;
        const first = waiting.findIndex((count) => count > 0);
        const last = waiting.findLastIndex((count) => count > 0);
        passed = rank === first && last > first ? passed + 1 : 0;
        expect(passed).toBeLessThanOrEqual(9);
        waiting[rank] = (waiting[rank] ?? 0) - 1;
      }
      expect([queue.shift(ANY), ...waiting]).toEqual([undefined, 0, 0, 0]);
    }),
    { seed: SEED, numRuns: 200 },
  );
});
