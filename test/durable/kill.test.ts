import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openStore } from '../../src/durable/store/open.ts';
import { run, temporaryFolder } from '../support/command.ts';
import { seededRandom } from '../support/seeded-random.ts';

const ROUNDS = Number(process.env['BREAKWATER_KILL_ROUNDS'] ?? 20);

test('repeated kill -9: accepted requests are still stored, and ended ones stay ended', {
  timeout: ROUNDS * 15_000,
}, async () => {
  const folder = temporaryFolder();
  const [file, log] = [join(folder, 'store.db'), join(folder, 'promises')];
  const random = seededRandom(7);
  const accepted = new Set<string>();
  const ended = new Set<string>();
  for (let round = 0; round < ROUNDS; round++) {
    const child = run(process.execPath, ['test/durable/submitter.ts', file, log, String(round)]);
    const dots = 1 + Math.floor(random() * 600);
    await child.untilPrinted(new RegExp(`\\.{${dots}}`));
    child.child.kill('SIGKILL');
    expect(await child.ended()).toBe('SIGKILL');
    for (const line of readFileSync(log, 'utf8').split('\n').slice(0, -1)) {
      const [word, id = ''] = line.split(' ');
      (word === 'accepted' ? accepted : ended).add(id);
    }
    const store = await openStore(file);
    const jobs = await store.list({ limit: 1_000_000 });
    const status = new Map(jobs.map((job) => [job.id, job.status]));
    expect([...accepted].filter((id) => !status.has(id))).toEqual([]);
    expect([...ended].filter((id) => status.get(id) !== 'succeeded')).toEqual([]);
    await store.close();
  }
  expect(accepted.size).toBeGreaterThan(ROUNDS);
  expect(ended.size).toBeGreaterThan(0);
  // A request that ran when its process died runs again at once, without waiting for its lease.
  const store = await openStore(file);
  for (;;) {
    const claimed = await store.claim({
      owner: 'heir',
      now: 2_000,
      leaseNow: 2_000,
      leaseMs: 7_000,
      limit: 500,
    });
    if (claimed.length === 0) break;
    await Promise.all(
      claimed.map(async ({ id, attempt }) => {
        const next = { kind: 'end', status: 'succeeded', purgeAt: 9_000 } as const;
        expect(await store.settle({ id, owner: 'heir', attempt, now: 2_000, entry: undefined, next })).toBe(
          true,
        );
      }),
    );
  }
  expect(await store.backlog()).toBe(0);
  await store.close();
});
