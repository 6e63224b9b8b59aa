import { join } from 'node:path';
import { constants, DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, test } from 'vitest';
import { claimBatch, NEXT_WAKE } from '../../src/durable/store/claim.ts';
import { SQLITE } from '../../src/durable/store/dialect.ts';
import { openStore } from '../../src/durable/store/open.ts';
import { settleBatch } from '../../src/durable/store/settle.ts';
import { temporaryFolder } from '../support/command.ts';
import { newJob, settlement } from './jobs.ts';

const response = { status: 200, statusText: 'OK', headers: [], body: new Uint8Array(1), truncated: false };

test('the statements of an attempt are planned once, whatever their parameters are', async () => {
  const file = join(temporaryFolder(), 'store.db');
  const store = await openStore(file);
  await store.submit(newJob('req_1'));
  await store.close();
  const db = new DatabaseSync(file);
  onTestFinished(() => db.close());
  const plans: string[] = [];
  // SQLite asks for each table and column that a plan uses.
  db.setAuthorizer((action) => {
    if (action === constants.SQLITE_UPDATE || action === constants.SQLITE_SELECT) plans.push(now);
    return constants.SQLITE_OK;
  });
  let now = 'first';
  const prepared = [
    ...claimBatch({ owner: 'a', now: 2_000, leaseNow: 2_000, leaseMs: 1, limit: 16 }, SQLITE),
    ...settleBatch(settlement('req_1', { response, ordered: false }), SQLITE),
    NEXT_WAKE,
  ].map(({ sql, params }) => ({ statement: db.prepare(sql.replace(/\$(\d+)/g, '?$1')), params }));
  expect(plans).not.toEqual([]);
  now = 'again';
  for (const { statement, params } of [...prepared, ...prepared]) statement.all(...params);
  expect(plans).not.toContain('again');
  expect(db.prepare('SELECT status FROM breakwater_job').all()).toEqual([{ status: 'succeeded' }]);
});
