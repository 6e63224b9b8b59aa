import { expect, test } from 'vitest';
import { Health } from '../../../src/durable/health.ts';
import { StoreError, type StoreProblem } from '../../../src/durable/store/db.ts';
import { combine } from '../../../src/telemetry/observer.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function health() {
  const logs: string[] = [];
  const log = (_: object, message: string) => void logs.push(message);
  return {
    logs,
    watched: new Health({ clock: new FakeClock(), logger: { error: log, info: log }, observer: combine() }),
  };
}

const fails = (problem: StoreProblem) => Promise.reject(new StoreError(problem, problem));

test('on a full disk results and reads succeed: only an accepted request makes it healthy again', async () => {
  const { logs, watched } = health();
  await expect(watched.accepting(fails('full'))).rejects.toThrow('full');
  await expect(watched.reading(fails('full'))).rejects.toThrow('full');
  await watched.reading(Promise.resolve());
  await watched.finishing(Promise.resolve());
  expect([watched.healthy, logs]).toEqual([false, ['the durable store fails: full']]);
  await watched.accepting(Promise.resolve());
  expect([watched.healthy, logs.length]).toEqual([true, 2]);
});

test('a success clears the failures that it disproves', async () => {
  const { watched } = health();
  await expect(watched.finishing(fails('unreachable'))).rejects.toThrow('unreachable');
  await watched.reading(Promise.resolve());
  expect(watched.healthy).toBe(false);
  await watched.finishing(Promise.resolve());
  expect(watched.healthy).toBe(true);
});

test('one row that cannot be written does not make the store unhealthy', async () => {
  const { logs, watched } = health();
  await expect(watched.accepting(fails('unwritable'))).rejects.toThrow('unwritable');
  expect([watched.healthy, logs]).toEqual([true, []]);
});
