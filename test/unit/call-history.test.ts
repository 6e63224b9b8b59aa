import { expect, test } from 'vitest';
import { CallHistory } from '../../src/admin/call-history.ts';
import { combine } from '../../src/telemetry/observer.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { rescuedStory, Story } from '../support/record.ts';

const historyOf = (capacity?: number) =>
  new CallHistory(new FakeClock(), { slowMs: 1_000, ...(capacity !== undefined && { capacity }) });

const refuse = (history: CallHistory, id: string, route = 'default') =>
  new Story(combine(history), { id, route }).end({ status: 503, origin: 'proxy', error: 'breaker_open' });

const fail = async (history: CallHistory, id: string, route = 'default') => {
  const story = await new Story(combine(history), { id, route }).attempt('connection_refused');
  return story.end({ status: 502, origin: 'proxy', error: 'connection_refused' });
};

test('10 000 equal refusals push out no failure', async () => {
  const history = historyOf();
  await fail(history, 'failure');
  for (let i = 0; i < 10_000; i++) refuse(history, `refused ${i}`);
  const [refused, failed] = history.list();
  expect([refused?.count, refused?.latest.id]).toEqual([10_000, 'refused 9999']);
  expect([failed?.count, failed?.latest.id]).toEqual([1, 'failure']);
});

test('a group shows its latest call; opened, all that are in memory', async () => {
  const history = historyOf();
  for (let i = 0; i < 300; i++) await fail(history, `f${i}`);
  const [closed] = history.list();
  expect([closed?.count, closed?.latest.id, closed?.calls]).toEqual([300, 'f299', undefined]);
  const [open] = history.list({ open: [closed?.key ?? ''] });
  expect(open?.calls?.map(({ id }) => id)).toEqual(Array.from({ length: 200 }, (_, i) => `f${299 - i}`));
});

test('a group of refusals has 50 calls in memory', () => {
  const history = historyOf();
  for (let i = 0; i < 60; i++) refuse(history, `r${i}`);
  expect(history.list({ text: 'breaker_open' })[0]?.calls?.length).toBe(50);
});

test('calls of a group that was dropped make room', async () => {
  const history = historyOf(301);
  for (let route = 0; route < 600; route++) refuse(history, `${route}`, `route ${route}`);
  await fail(history, 'a', 'route 599');
  await fail(history, 'b', 'route 599');
  expect(history.list({ text: 'connection_refused' })[0]?.calls?.map(({ id }) => id)).toEqual(['b', 'a']);
});

test('only notable calls are in it', async () => {
  const history = historyOf();
  (await new Story(combine(history)).attempt(200)).end();
  expect([history.seen, history.list()]).toEqual([0, []]);
  history.slowMs = 5;
  (await new Story(combine(history)).attempt(200)).end();
  expect([history.seen, history.list().length]).toEqual([1, 1]);
});

test('of 400 groups, the 300 with the latest calls are in memory', () => {
  const history = historyOf();
  for (let route = 0; route < 400; route++) refuse(history, `${route}`, `route ${route}`);
  refuse(history, 'again', 'route 100');
  const groups = history.list();
  expect([groups.length, groups[0]?.latest.id, groups[1]?.latest.id, groups.at(-1)?.latest.id]).toEqual([
    300,
    'again',
    '399',
    '101',
  ]);
});

test('the largest group gives up its oldest call', async () => {
  const history = historyOf(4);
  await fail(history, 'alone', 'other');
  for (let i = 0; i < 10; i++) await fail(history, `many ${i}`);
  const groups = history.list({ text: 'connection_refused' });
  expect(groups.map(({ calls }) => calls?.map(({ id }) => id))).toEqual([
    ['many 9', 'many 8', 'many 7'],
    ['alone'],
  ]);
});

test('a search by id finds one call among its group', async () => {
  const history = historyOf();
  for (const id of ['a1', 'a2', 'b1']) (await rescuedStory(combine(history), { id })).end();
  expect(history.list({ id: 'a2' })).toMatchObject([{ count: 1, calls: [{ id: 'a2' }] }]);
  expect(history.list({ id: 'a' })).toMatchObject([{ count: 2, calls: [{ id: 'a2' }, { id: 'a1' }] }]);
  expect(history.list({ id: 'c' })).toEqual([]);
  expect(history.list({ upstream: 'demo', outcome: 'failed' })).toEqual([]);
});

test('the calls after a number come one by one, oldest first, with the number of those that are gone', async () => {
  const history = historyOf();
  for (let i = 1; i <= 3; i++) await fail(history, `f${i}`);
  refuse(history, 'r4');
  const idsAfter = (after: number, filter = {}) => history.listAfter(after, filter).calls.map(({ id }) => id);
  expect(idsAfter(1)).toEqual(['f2', 'f3', 'r4']);
  expect(idsAfter(1, { outcome: 'rejected' })).toEqual(['r4']);
  expect(history.listAfter(history.seen)).toEqual({ calls: [], missed: 0 });
  for (let i = 0; i < 100; i++) refuse(history, `more ${i}`);
  expect(history.listAfter(4).missed).toBe(50);
  expect(history.listAfter(Number.MAX_SAFE_INTEGER)).toEqual({ calls: [], missed: 0 });
});
