import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { claimBatch, NEXT_WAKE } from '../../src/durable/store/claim.ts';
import type { Statement } from '../../src/durable/store/db.ts';
import { POSTGRES } from '../../src/durable/store/dialect.ts';
import { insertJob, keyHolder } from '../../src/durable/store/insert.ts';
import { openStore } from '../../src/durable/store/open.ts';
import { openPostgres } from '../../src/durable/store/postgres.ts';
import { settleTogether } from '../../src/durable/store/settle.ts';
import { newJob, settlement } from './jobs.ts';
import { MISSING, type PostgresServer, startPostgres } from './postgres-server.ts';

let server: PostgresServer;
beforeAll(async () => {
  if (MISSING === undefined) server = await startPostgres();
});
afterAll(() => server?.stop());

/** All statements with a name. */
const NAMED: readonly Statement[] = [
  ...claimBatch({ owner: 'a', now: 1, leaseNow: undefined, leaseMs: 1, limit: 1 }, POSTGRES),
  settleTogether([settlement('req_1')]),
  ...keyHolder(newJob('req_1', { idempotencyKey: 'key' })),
  ...insertJob(newJob('req_1', { orderKey: 'key' }), POSTGRES),
  NEXT_WAKE,
].filter(({ name }) => name !== undefined);

/** More than PostgreSQL needs to decide for a plan without parameters. */
const OFTEN = 8;

async function open(url: string) {
  const store = await openStore(url);
  onTestFinished(() => store.close());
  return store;
}

describe.skipIf(MISSING !== undefined)(`prepared statements of PostgreSQL ${MISSING ?? ''}`, () => {
  test.each(NAMED.map((statement) => [statement.name, statement] as const))(
    '%s reaches requests by an index, also with a plan that was made while the tables were empty',
    async (_, { sql, params }) => {
      const url = await server.freshUrl();
      await open(url);
      const db = openPostgres(url);
      onTestFinished(() => db.close());
      const nulls = params.map(() => 'NULL').join(', ');
      const texts = [
        'SET LOCAL plan_cache_mode = force_generic_plan',
        `PREPARE planned AS ${sql}`,
        `EXPLAIN (FORMAT JSON) EXECUTE planned ${params.length === 0 ? '' : `(${nulls})`}`,
        'DEALLOCATE planned',
        `SELECT relname, pg_get_indexdef(oid, 1, true) AS first FROM pg_class WHERE relkind = 'i'`,
      ];
      const results = await db.batch(texts.map((text) => ({ sql: text, params: [] })));
      const scans = scansOf(results[2]?.[0]?.['QUERY PLAN']);
      const ofRequests = scans.filter((scan) => scan['Relation Name'] === 'breakwater_job');
      const firstColumn = new Map(results[4]?.map(({ relname, first }) => [relname, first]));
      for (const { 'Index Name': index, 'Index Cond': condition } of ofRequests as Plan[])
        expect(condition).toMatch(new RegExp(`\\b${String(firstColumn.get(index as string))}\\b`));
      expect(ofRequests).not.toEqual([]);
    },
  );

  test('they work on after another replica has added columns', async () => {
    const url = await server.freshUrl();
    const store = await open(url);
    const work = async (name: string) => {
      const id = `req_${name}`;
      expect(await store.submit(newJob(id, { idempotencyKey: id }))).toEqual({ kind: 'accepted', id });
      const claim = { owner: name, now: 5_000, leaseNow: undefined, leaseMs: 9_000, limit: 1 };
      const claimed = await store.claim(claim);
      expect(claimed.map((job) => [job.id, Buffer.from(job.body).toString()])).toEqual([
        [id, `{"id":"${id}"}`],
      ]);
      expect(await store.settle(settlement(id, { owner: name, ordered: false }))).toBe(true);
    };
    for (let i = 0; i < OFTEN; i++) await work(`before_${i}`);
    const client = new Client({ connectionString: url });
    await client.connect();
    const tables = ['job', 'request', 'response', 'attempt', 'paused'];
    for (const table of tables) await client.query(`ALTER TABLE breakwater_${table} ADD COLUMN later TEXT`);
    await client.end();
    await work('after');
  });

  /** A database with ten connections, each of which has prepared \`NAMED_ONE\`. */
  async function tenConnections() {
    const db = openPostgres(await server.freshUrl());
    onTestFinished(() => db.close());
    await db.batch([plain('CREATE TABLE t (x BIGINT)')]);
    const onEach = (statement: Statement) =>
      Promise.all(Array.from({ length: 10 }, () => db.batch([statement])));
    await onEach(NAMED_ONE);
    return { db, onEach };
  }

  test('a connection that has lost its statements is replaced, and its settings return', async () => {
    const { db, onEach } = await tenConnections();
    await onEach(plain('DISCARD ALL'));
    expect(await db.batch([plain('INSERT INTO t VALUES (1)'), NAMED_ONE])).toEqual([[], [{ x: 1 }]]);
    for (const shown of await onEach(plain('SHOW lock_timeout')))
      expect(shown).toEqual([[{ lock_timeout: '5s' }]]);
  });

  test('a statement whose columns have another type now is prepared again', async () => {
    const { db } = await tenConnections();
    await db.batch([plain('INSERT INTO t VALUES (1)'), plain('ALTER TABLE t ALTER COLUMN x TYPE TEXT')]);
    expect(await db.batch([NAMED_ONE])).toEqual([[{ x: '1' }]]);
  });

  test('a connection to a server that became read-only is not used again', async () => {
    const { db } = await tenConnections();
    const insert = plain('INSERT INTO t VALUES (1)');
    await db.batch([plain('SET default_transaction_read_only = on')]);
    await expect(db.batch([insert])).rejects.toMatchObject({ problem: 'read_only' });
    for (let i = 0; i < 10; i++) await db.batch([insert]);
  });
});

const plain = (sql: string): Statement => ({ sql, params: [] });
const NAMED_ONE: Statement = { name: 'one', sql: 'SELECT x FROM t', params: [] };

type Plan = Readonly<Record<string, unknown>>;

/** All scans of tables in a plan. Its sorts, joins and changes have no scan of their own. */
function scansOf(node: unknown): Plan[] {
  if (Array.isArray(node)) return node.flatMap(scansOf);
  if (typeof node !== 'object' || node === null) return [];
  const own = String((node as Plan)['Node Type']).endsWith(' Scan') ? [node as Plan] : [];
  return [...own, ...Object.values(node).flatMap(scansOf)];
}
