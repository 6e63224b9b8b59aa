import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openStore } from '../../src/durable/store/open.ts';
import { run, temporaryFolder } from '../support/command.ts';
import { newJob, settlement } from './jobs.ts';
import { MISSING, type PostgresServer, startPostgres } from './postgres-server.ts';

let server: PostgresServer;
beforeAll(async () => {
  if (MISSING === undefined) server = await startPostgres();
});
afterAll(() => server?.stop());

const BACKLOG = 10_000;
const LEASE_MS = 2_000;
/** These replicas use the real time. */
const FAR = 4_000_000_000_000;

const KEYS = Array.from({ length: 100 }, (_, i) => `key ${i}`);
const keyed = (id: string, orderKey: string) => newJob(id, { orderKey });

describe.skipIf(MISSING !== undefined)(`replicas on PostgreSQL ${MISSING ?? ''}`, () => {
  async function pair() {
    const url = await server.freshUrl();
    const stores = [await openStore(url), await openStore(url)] as const;
    onTestFinished(async () => {
      for (const store of stores) await store.close();
    });
    return stores;
  }
  const due = { now: 3_000, leaseNow: 3_000, leaseMs: 900_000, limit: 1_000 };

  test('two replicas accept requests of one key: one is in flight', async () => {
    const [one, two] = await pair();
    const both = KEYS.flatMap((key) => [
      one.submit(keyed(`1 ${key}`, key)),
      two.submit(keyed(`2 ${key}`, key)),
    ]);
    await Promise.all(both);
    const claimed = await one.claim({ owner: 'a', ...due });
    expect(claimed.map(({ orderKey }) => orderKey ?? '').sort()).toEqual(KEYS.toSorted());
  });

  test('a request accepted while the one before it ends gets its turn', async () => {
    const [one, two] = await pair();
    await Promise.all(KEYS.map((key) => one.submit(keyed(`1 ${key}`, key))));
    await one.claim({ owner: 'a', ...due });
    const meanwhile = KEYS.flatMap((key) => [
      one.settle(settlement(`1 ${key}`)),
      two.submit(keyed(`2 ${key}`, key)),
    ]);
    await Promise.all(meanwhile);
    const claimed = await two.claim({ owner: 'b', ...due });
    expect(claimed.map(({ orderKey }) => orderKey ?? '').sort()).toEqual(KEYS.toSorted());
  });

  test('a route paused during a claim continues after resume', async () => {
    const [one, two] = await pair();
    const { route } = newJob('');
    await Promise.all(KEYS.map((key) => one.submit(newJob(key))));
    for (let i = 0; i < 20; i++) {
      await one.pause(route, 1_000);
      const claim = two.claim({ owner: 'a', now: 3_000, leaseNow: 3_000, leaseMs: 0, limit: 5 });
      await Promise.all([claim, one.resume(route, 2_000)]);
    }
    // No request was forgotten: those claimed meanwhile are due again, because their lease was 0.
    expect(await two.claim({ owner: 'b', ...due })).toHaveLength(KEYS.length);
  });

  test.each([2, 3])(
    '%i share a backlog of 10 000; one is killed; each request ends exactly once, in order per key',
    { timeout: 180_000 },
    async (replicas) => {
      const url = await server.freshUrl();
      const folder = temporaryFolder();
      const store = await openStore(url);
      for (let i = 0; i < BACKLOG; i += 500) {
        const jobs = Array.from({ length: 500 }, (_, j) =>
          newJob(`req_${i + j}`, {
            orderKey: (i + j) % 20 === 0 ? `key ${(i + j) % 400}` : null,
            deadlineAt: FAR,
          }),
        );
        await Promise.all(jobs.map((job) => store.submit(job)));
      }
      const log = (n: number) => join(folder, String(n));
      const children = Array.from({ length: replicas }, (_, n) =>
        run(process.execPath, [
          'test/durable/replica.ts',
          url,
          log(n),
          `owner ${n}`,
          String(LEASE_MS),
          ...(n === 0 ? ['500'] : []),
        ]),
      );
      const [doomed, ...others] = children;
      await doomed?.untilPrinted(/held/);
      doomed?.child.kill('SIGKILL');
      for (const other of others) expect(`${await other.ended()} ${other.err}`).toBe('0 ');

      const lines = children.flatMap((_, n) => readFileSync(log(n), 'utf8').trim().split('\n'));
      const ended = lines.map((line) => line.split(' ')[0]);
      expect(new Set(ended).size).toBe(ended.length);
      const jobs = await store.list({ limit: BACKLOG + 1 });
      expect(jobs).toHaveLength(BACKLOG);
      expect(jobs.filter(({ status, counted }) => status !== 'succeeded' || counted !== 1)).toEqual([]);
      // The killed one may have ended requests without logging it: at most those in flight.
      expect(ended.length).toBeGreaterThanOrEqual(BACKLOG - 50);
      const abandoned = lines.filter((line) => line.endsWith('reclaimed'));
      expect(abandoned.length).toBeGreaterThan(0);
      expect(jobs.filter(({ attempt }) => attempt > 1).length).toBeGreaterThanOrEqual(abandoned.length);

      for (const key of new Set(jobs.map(({ orderKey }) => orderKey))) {
        if (key === null) continue;
        const queue = jobs.filter((job) => job.orderKey === key).sort((a, b) => a.seq - b.seq);
        const ends = queue.map(({ finishedAt = 0 }) => finishedAt);
        expect(ends).toEqual(ends.toSorted((a, b) => a - b));
      }
      await store.close();
    },
  );
});
