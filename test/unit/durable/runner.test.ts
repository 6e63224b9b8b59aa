import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { DurableRoute } from '../../../src/durable/route.ts';
import { Health } from '../../../src/durable/health.ts';
import { Runner, type RunningJob } from '../../../src/durable/runner.ts';
import { StoreError } from '../../../src/durable/store/db.ts';
import { openStore } from '../../../src/durable/store/open.ts';
import type { Claim } from '../../../src/durable/store/store.ts';
import { newJob, settlement } from '../../durable/jobs.ts';
import { temporaryFolder } from '../../support/command.ts';
import { SetClock } from '../../support/set-clock.ts';

const ROUTE = {
  name: 'payments/charges',
  headTimeoutMs: 1_000,
  bodyTimeoutMs: 1_000,
  options: { concurrency: 8, maxBodyBytes: 1_000 },
  room: () => 100,
} as DurableRoute;

/** A runner on an embedded store, whose attempts end when the test says so. */
async function running(pollMs = 1_000, shared = false) {
  const clock = new SetClock();
  const store = await openStore(join(temporaryFolder(), 'store.db'));
  const epoch = clock.wallTime();
  const claims: Claim[] = [];
  const asked: (readonly string[])[] = [];
  /** `committed`: claims are carried out, and only their answer is lost. */
  const problem: { error: StoreError | undefined; committed?: boolean } = { error: undefined };
  const runs: { running: RunningJob; succeeded: () => void; end: () => void }[] = [];
  const looked: (() => void)[] = [];
  const setBacks: number[] = [];
  const log = () => {};
  const health = new Health({
    clock,
    logger: { error: log, info: log },
    observer: { stateChanged: log },
  });
  const runner = new Runner({
    clock,
    storeFailedAt: () => health.failedAt,
    owner: 'a',
    leaseNow: () => (shared ? undefined : epoch + clock.now()),
    pollMs,
    routes: [ROUTE],
    store: {
      claim: (claim) => {
        claims.push(claim);
        if (problem.error === undefined) return health.reading(store.claim(claim));
        const { error, committed = false } = problem;
        const failed = (committed ? store.claim(claim) : Promise.resolve()).then(() => Promise.reject(error));
        return health.reading(failed);
      },
      claimed: (lost) => {
        asked.push(lost.owners);
        return store.claimed(lost);
      },
      setBack: (now) => store.setBack(now),
      wallTime: () => store.wallTime(),
      nextDueAt: async () => {
        const at = await store.nextDueAt();
        setImmediate(() => looked.splice(0).forEach((resolve) => resolve()));
        return at;
      },
    },
    run: (one, succeeded) =>
      new Promise((resolve) => runs.push({ running: one, succeeded, end: () => resolve('none') })),
    onSetBack: (count) => setBacks.push(count),
    onBug: (error) => {
      throw error;
    },
  });
  onTestFinished(async () => {
    for (const { end } of runs) end();
    await runner.drain();
    await store.close();
  });
  /** Wakes the runner and waits for its claim. */
  const look = () =>
    new Promise<void>((resolve) => {
      looked.push(resolve);
      runner.wake();
    });
  const submit = (id: string) =>
    store.submit(newJob(id, { createdAt: epoch, dueAt: epoch, deadlineAt: epoch + 86_400_000 }));
  return { asked, claims, clock, epoch, health, look, problem, runner, runs, setBacks, store, submit };
}

test('own running requests are never reclaimed: not when the clock is set, not after their lease', async () => {
  const { clock, look, runs, store, submit } = await running();
  await submit('req_1');
  await look();
  clock.setBy = 2 * 3_600_000;
  await look();
  await clock.advance(3_600_000);
  await look();
  expect(runs.map(({ running: { job } }) => [job.id, job.attempt])).toEqual([['req_1', 1]]);
  expect(await store.settle(settlement('req_1', { owner: runs[0]?.running.job.owner ?? '' }))).toBe(true);
});

test('a claim whose answer was lost: its requests are found and begin, without another attempt', async () => {
  const { asked, clock, look, problem, runner, runs, store, submit } = await running();
  for (const id of ['req_1', 'req_2']) await submit(id);
  problem.error = new StoreError('unreachable', 'the connection broke');
  problem.committed = true;
  runner.wake();
  await clock.untilWaiting('runner.ts', 1_000);
  expect(await store.get('req_1')).toMatchObject({ status: 'running', attempt: 1, owner: 'a.1' });
  expect(runs).toEqual([]);
  problem.error = undefined;
  await look();
  expect(runs.map(({ running: { job } }) => [job.id, job.attempt, job.reclaimed])).toEqual([
    ['req_1', 1, false],
    ['req_2', 1, false],
  ]);
  await clock.advance(60_000);
  await look();
  expect(asked).toEqual([['a.1']]);
  expect(await store.settle(settlement('req_1', { owner: 'a.1' }))).toBe(true);
});

test('a claim that failed is asked for once a second, until it can no longer be committed', async () => {
  const { asked, clock, look, problem, runner } = await running(60_000);
  problem.error = new StoreError('unreachable', 'the connection broke');
  runner.wake();
  await clock.untilWaiting('runner.ts', 1_000);
  problem.error = undefined;
  for (const ms of [0, 999, 1, 59_000, 1_000]) {
    await clock.advance(ms);
    await look();
  }
  expect(asked).toEqual([['a.1'], ['a.1'], ['a.1']]);
});

test('a lease of another process runs out by the monotonic clock alone', async () => {
  const { clock, look, runs, store, submit } = await running();
  await submit('req_1');
  const now = clock.wallTime();
  await store.claim({ owner: 'gone', now, leaseNow: now, leaseMs: 10_000, limit: 1 });
  clock.setBy = 2 * 3_600_000;
  await look();
  expect(runs).toEqual([]);
  await clock.advance(10_000);
  await look();
  expect(runs.map(({ running: { job } }) => [job.id, job.attempt, job.reclaimed])).toEqual([
    ['req_1', 2, true],
  ]);
});

test('a clock set back by a day lengthens no wait, while running and at the start', async () => {
  const DAY = 86_400_000;
  const { clock, epoch, look, runs, setBacks, store, submit } = await running();
  clock.setBy = DAY;
  for (const id of ['req_1', 'req_2'])
    await store.submit(
      newJob(id, { createdAt: epoch + DAY, dueAt: epoch + DAY, deadlineAt: epoch + 2 * DAY }),
    );
  const now = epoch + DAY;
  await store.claim({ owner: 'b', now, leaseNow: now, leaseMs: 1_000, limit: 1 });
  const next = { kind: 'wait', dueAt: now + 20_000, reason: 'backoff', counts: true } as const;
  await store.settle(settlement('req_1', { owner: 'b', now, next }));
  // The process that set both has died, and the clock was corrected before this one started.
  clock.setBy = 0;
  await look();
  expect(setBacks).toEqual([2]);
  expect(runs.map(({ running: { job } }) => job.id)).toEqual(['req_2']);
  // Set back again while the runner runs.
  clock.setBy = -DAY;
  await look();
  expect(setBacks).toEqual([2, 1]);
  await clock.advance(20_000);
  await look();
  expect(runs.map(({ running: { job } }) => job.id)).toEqual(['req_2', 'req_1']);
  await submit('req_3');
  await look();
  expect(setBacks).toEqual([2, 1]);
});

test('a clock set forward by three hours is noticed within a minute', async () => {
  const { clock, epoch, look, runs, store } = await running(600_000);
  await look();
  const dueAt = epoch + 3 * 3_600_000;
  await store.submit(newJob('req_1', { createdAt: epoch, dueAt, deadlineAt: epoch + 86_400_000 }));
  await look();
  expect(clock.deadlines).toEqual([60_000]);
  clock.setBy = 3 * 3_600_000;
  await clock.advance(60_000);
  await expect.poll(() => runs.map(({ running: { job } }) => job.id)).toEqual(['req_1']);
});

test('after a store failure, living processes have time to store their results before reclaiming', async () => {
  const { claims, clock, look, problem, submit } = await running();
  await look();
  problem.error = new StoreError('unreachable', 'gone');
  await submit('req_1');
  await clock.advance(1_000);
  problem.error = undefined;
  await look();
  expect(claims.map(({ reclaims }) => reclaims)).toEqual([true, true, false]);
  await clock.advance(15_000);
  await look();
  expect(claims.at(-1)?.reclaims).toBe(true);
});

test.each([
  ['unreachable', false],
  ['locked', true],
] as const)(
  'a result that failed as %s, without a claim meanwhile: leases are taken over at once: %s',
  async (problem, reclaims) => {
    const { claims, health, look } = await running();
    await health.finishing(Promise.reject(new StoreError(problem, 'not stored'))).catch(() => undefined);
    await look();
    expect(claims.at(-1)?.reclaims).toBe(reclaims);
  },
);

test('on a shared store, the clock counts as set back only if the clock of the store agrees', async () => {
  const { clock, epoch, look, runs, setBacks, store } = await running(1_000, true);
  await store.submit(newJob('req_1', { createdAt: epoch, dueAt: epoch, deadlineAt: epoch + 86_400_000 }));
  clock.setBy = -86_400_000;
  await look();
  expect(setBacks).toEqual([]);
  expect(runs).toEqual([]);
});

test('a successful attempt gives up its place before its result is stored, while fewer results wait than attempts run', async () => {
  const { runner, runs, submit } = await running();
  const CONCURRENCY = 8;
  await Promise.all(Array.from({ length: 40 }, (_, i) => submit(`req_${i}`)));
  runner.wake();
  const begun = (n: number) => expect.poll(() => runs.length, { interval: 1 }).toBe(n);
  await begun(CONCURRENCY);
  for (let n = 1; n <= CONCURRENCY; n++) {
    runs[n - 1]?.succeeded();
    // A second report changes nothing.
    runs[n - 1]?.succeeded();
    await begun(CONCURRENCY + n);
  }
  // The store is slow: further attempts keep their places until their results are stored.
  for (const { succeeded } of runs.slice(CONCURRENCY)) succeeded();
  runner.wake();
  runs[0]?.end();
  runs[CONCURRENCY]?.end();
  await begun(2 * CONCURRENCY + 1);
  expect(runner.size).toBe(2 * CONCURRENCY - 1);
});

test('a request that is started again while its end is reported is still known as running', async () => {
  const { epoch, look, runner, runs, store, submit } = await running();
  await submit('req_1');
  await look();
  const next = { kind: 'end', status: 'cancelled', purgeAt: epoch + 86_400_000 } as const;
  const owner = runs[0]?.running.job.owner ?? '';
  expect(await store.settle(settlement('req_1', { owner, next, now: epoch }))).toBe(true);
  await store.retry('req_1', { now: epoch, deadlineAt: epoch + 86_400_000, force: false });
  await look();
  expect(runs).toHaveLength(2);
  runs[0]?.end();
  await look();
  expect(runner.running('req_1')).toBe(runs[1]?.running);
  const drained = runner.drain().then(() => 'drained');
  expect(await Promise.race([drained, new Promise((resolve) => setImmediate(resolve, 'waits'))])).toBe(
    'waits',
  );
  runs[1]?.end();
  expect(await drained).toBe('drained');
});
