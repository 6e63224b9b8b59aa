import { expect, test } from 'vitest';
import { ChangeNotifier } from '../../../src/durable/change-notifier.ts';
import { StoreError } from '../../../src/durable/store/db.ts';
import type { JobProgress } from '../../../src/durable/store/store.ts';
import { Abort } from '../../../src/runtime/abort.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const queued = (id: string): JobProgress => ({
  id,
  status: 'queued',
  attempt: 0,
  dueAt: 1_000,
  reason: undefined,
});

test('3 000 subscriptions are one query a second, and each is notified of its own change', async () => {
  const clock = new FakeClock();
  const progresses = new Map<string, JobProgress>();
  const asked: number[] = [];
  const problem: { error: StoreError | undefined } = { error: undefined };
  const watch = new ChangeNotifier({
    clock,
    progress: async (ids) => {
      asked.push(ids.length);
      if (problem.error !== undefined) throw problem.error;
      return ids.flatMap((id) => progresses.get(id) ?? []);
    },
  });
  const woken: string[] = [];
  const subscriptions = Array.from({ length: 3_000 }, (_, n) => {
    const id = `req_${n}`;
    progresses.set(id, queued(id));
    const subscription = watch.subscribe(id);
    subscription.observed(queued(id));
    void subscription.nextChange(600_000, { clock, signal: new Abort() }).then(() => woken.push(id));
    return subscription;
  });
  await clock.advance(2_000);
  expect(asked).toEqual([3_000, 3_000]);
  expect(woken).toEqual([]);

  problem.error = new StoreError('unreachable', 'gone');
  await clock.advance(1_000);
  problem.error = undefined;
  progresses.set('req_7', { ...queued('req_7'), status: 'running', attempt: 1 });
  progresses.delete('req_8');
  await clock.advance(1_000);
  expect(woken).toEqual(['req_7']);

  for (const subscription of subscriptions) subscription.close();
  await clock.advance(10_000);
  expect(asked).toHaveLength(4);
  watch.close();
});

test('without a shared store there are no queries', async () => {
  const clock = new FakeClock();
  const subscription = new ChangeNotifier().subscribe('req_1');
  expect(clock.pending).toBe(0);
  subscription.close();
});
