import { expect, test } from 'vitest';
import { Health } from '../../../src/durable/health.ts';
import { StoreError, type StoreProblem } from '../../../src/durable/store/db.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function health() {
  const logs: string[] = [];
  const log = (_: object, message: string) => void logs.push(message);
  return { logs, watched: new Health({ clock: new FakeClock(), logger: { error: log, info: log } }) };
}

const fails = (problem: StoreProblem) => Promise.reject(new StoreError(problem, problem));

test('on a full disk ends and reads succeed, and nothing new is taken: it is well when something new is', async () => {
  const { logs, watched } = health();
  await expect(watched.accepting(fails('full'))).rejects.toThrow('full');
  await expect(watched.reading(fails('full'))).rejects.toThrow('full');
  await watched.reading(Promise.resolve());
  await watched.finishing(Promise.resolve());
  expect([watched.healthy, logs]).toEqual([false, ['the durable store fails: full']]);
  await watched.accepting(Promise.resolve());
  expect([watched.healthy, logs.length]).toEqual([true, 2]);
});

test('a success clears what it disproves', async () => {
  const { watched } = health();
  await expect(watched.finishing(fails('unreachable'))).rejects.toThrow('unreachable');
  await watched.reading(Promise.resolve());
  expect(watched.healthy).toBe(false);
  await watched.finishing(Promise.resolve());
  expect(watched.healthy).toBe(true);
});

test('one row that cannot be written is not a failed store', async () => {
  const { logs, watched } = health();
  await expect(watched.accepting(fails('unwritable'))).rejects.toThrow('unwritable');
  expect([watched.healthy, logs]).toEqual([true, []]);
});
