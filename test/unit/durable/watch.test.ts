import { expect, test } from 'vitest';
import { Watch } from '../../../src/durable/change-notifier.ts';
import { StoreError } from '../../../src/durable/store/db.ts';
import type { Standing } from '../../../src/durable/store/store.ts';
import { Abort } from '../../../src/runtime/abort.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const queued = (id: string): Standing => ({
  id,
  status: 'queued',
  attempt: 0,
  dueAt: 1_000,
  reason: undefined,
});

test('3 000 that wait are one question a second, and each is told of its own change', async () => {
  const clock = new FakeClock();
  const stands = new Map<string, Standing>();
  const asked: number[] = [];
  const problem: { error: StoreError | undefined } = { error: undefined };
  const watch = new Watch({
    clock,
    standings: async (ids) => {
      asked.push(ids.length);
      if (problem.error !== undefined) throw problem.error;
      return ids.flatMap((id) => stands.get(id) ?? []);
    },
  });
  const woken: string[] = [];
  const sights = Array.from({ length: 3_000 }, (_, n) => {
    const id = `req_${n}`;
    stands.set(id, queued(id));
    const sight = watch.look(id);
    sight.saw(queued(id));
    void sight.next(600_000, { clock, signal: new Abort() }).then(() => woken.push(id));
    return sight;
  });
  await clock.advance(2_000);
  expect(asked).toEqual([3_000, 3_000]);
  expect(woken).toEqual([]);

  problem.error = new StoreError('unreachable', 'gone');
  await clock.advance(1_000);
  problem.error = undefined;
  stands.set('req_7', { ...queued('req_7'), status: 'running', attempt: 1 });
  stands.delete('req_8');
  await clock.advance(1_000);
  expect(woken).toEqual(['req_7']);

  for (const sight of sights) sight.close();
  await clock.advance(10_000);
  expect(asked).toHaveLength(4);
  watch.close();
});

test('nobody asks where all changes are made here', async () => {
  const clock = new FakeClock();
  const sight = new Watch().look('req_1');
  expect(clock.pending).toBe(0);
  sight.close();
});
