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
  await expect(watched.taking(fails('full'))).rejects.toThrow('full');
  await expect(watched.giving(fails('full'))).rejects.toThrow('full');
  await watched.giving(Promise.resolve());
  await watched.keeping(Promise.resolve());
  expect([watched.well, logs]).toEqual([false, ['the durable store fails: full']]);
  await watched.taking(Promise.resolve());
  expect([watched.well, logs.length]).toEqual([true, 2]);
});

test('a success clears what it disproves', async () => {
  const { watched } = health();
  await expect(watched.keeping(fails('unreachable'))).rejects.toThrow('unreachable');
  await watched.giving(Promise.resolve());
  expect(watched.well).toBe(false);
  await watched.keeping(Promise.resolve());
  expect(watched.well).toBe(true);
});

test('one row that cannot be written is not a failed store', async () => {
  const { logs, watched } = health();
  await expect(watched.taking(fails('unwritable'))).rejects.toThrow('unwritable');
  expect([watched.well, logs]).toEqual([true, []]);
});
