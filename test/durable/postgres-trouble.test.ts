import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Db, Statement } from '../../src/durable/store/db.ts';
import { openStore } from '../../src/durable/store/open.ts';
import { openPostgres } from '../../src/durable/store/postgres.ts';
import { newJob, settlement } from './jobs.ts';
import { MISSING, type PostgresServer, startPostgres } from './postgres-server.ts';
import { wire } from './wire.ts';

let server: PostgresServer;
beforeAll(async () => {
  if (MISSING === undefined) server = await startPostgres();
});
afterAll(() => server?.stop());

const plain = (sql: string, ...params: Statement['params']): Statement => ({ sql, params });

async function bare(url: string): Promise<Db> {
  const db = openPostgres(url);
  onTestFinished(() => db.close());
  await db.batch([plain('CREATE TABLE IF NOT EXISTS t (x BIGINT PRIMARY KEY)')]);
  return db;
}

const rowsOf = async (db: Db) =>
  (await db.batch([plain('SELECT x FROM t ORDER BY x')]))[0]?.map(({ x }) => x);

describe.skipIf(MISSING !== undefined || process.env['BREAKWATER_TEST_POSTGRES'] !== undefined)(
  `PostgreSQL in trouble ${MISSING ?? ''}`,
  () => {
    test('an unreachable server is named in the error', async () => {
      const opened = openStore('postgres://someone:hunter2@127.0.0.1:1/things');
      await expect(opened).rejects.toMatchObject({
        problem: 'unreachable',
        message: expect.stringContaining('postgres://127.0.0.1:1/things') as string,
      });
    });

    test.each([
      'postgres://u:hunter2@127.0.0.1:1/db',
      'postgres://u:hunter2@[broken',
      'postgres://u:hunter2@h:port/db',
      'postgres://u:hunter2@/x?sslrootcert=/no/such',
    ])('%s is refused, and the error does not contain the password', async (url) => {
      const error = await openStore(url).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ name: 'StoreError' });
      expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain('hunter2');
    });

    test('a connection lost within a batch: nothing is stored, and the next batch uses another connection', async () => {
      const { arm, url } = await wire(await server.freshUrl());
      const db = await bare(url);
      const cut = arm('x * 0 + 2', { kind: 'cut', passedOn: false });
      const batch = db.batch([
        plain('INSERT INTO t VALUES (1)'),
        plain('INSERT INTO t SELECT x * 0 + 2 FROM t'),
      ]);
      await expect(batch).rejects.toMatchObject({ name: 'StoreError', problem: 'unreachable' });
      expect(await rowsOf(db)).toEqual([]);
      await cut;
    });

    test.each([true, false])(
      'a connection lost during COMMIT: the batch rejects, whether it was committed (%s) or not',
      async (happened) => {
        const { arm, url } = await wire(await server.freshUrl());
        const db = await bare(url);
        void arm('COMMIT', { kind: 'cut', passedOn: happened });
        const batch = db.batch([plain('INSERT INTO t VALUES (1)'), plain('INSERT INTO t VALUES (2)')]);
        await expect(batch).rejects.toMatchObject({
          problem: 'unreachable',
          message: expect.stringContaining('may be committed') as string,
        });
        // The server may still be busy with the last statement.
        await db.batch([plain('LOCK TABLE t IN ACCESS EXCLUSIVE MODE'), plain('SELECT 1')]);
        expect(await rowsOf(db)).toEqual(happened ? [1, 2] : []);
      },
    );

    test.each([true, false])(
      'a connection lost while results are stored together: all reject, and can be offered again (stored: %s)',
      async (happened) => {
        const { arm, url } = await wire(await server.freshUrl());
        const store = await openStore(url);
        onTestFinished(() => store.close());
        const ids = Array.from({ length: 20 }, (_, i) => `req_${i}`);
        await Promise.all(ids.map((id) => store.submit(newJob(id))));
        await store.claim({ owner: 'a', now: 2_000, leaseNow: 2_000, leaseMs: 9_000, limit: 20 });
        const offer = () =>
          Promise.allSettled(ids.map((id) => store.settle(settlement(id, { ordered: false }))));
        const cut = arm('WITH held AS', { kind: 'cut', passedOn: happened });
        for (const result of await offer())
          expect(result).toMatchObject({ status: 'rejected', reason: { problem: 'unreachable' } });
        await cut;
        // The server may still be busy with the statement; this one waits for its locks.
        await store.retry('req_0', { now: 2_000, deadlineAt: 9_000, force: false });
        for (const result of await offer()) expect(result).toEqual({ status: 'fulfilled', value: !happened });
        expect(await store.backlog()).toBe(0);
        expect(await store.attempts('req_7')).toHaveLength(1);
      },
    );

    test('a result that cannot be stored does not touch those that arrive with it', async () => {
      const store = await openStore(await server.freshUrl());
      onTestFinished(() => store.close());
      const ids = Array.from({ length: 70 }, (_, i) => `req_${i}`);
      await Promise.all(ids.map((id) => store.submit(newJob(id))));
      await store.claim({ owner: 'a', now: 2_000, leaseNow: 2_000, leaseMs: 9_000, limit: 70 });
      const reply = { status: 200, statusText: '', headers: [], body: new Uint8Array(10), truncated: false };
      const settle = (id: string, status: number) =>
        store.settle(settlement(id, { ordered: false, response: { ...reply, status } }));
      const results = await Promise.allSettled(ids.map((id) => settle(id, id === 'req_30' ? 1e300 : 200)));
      const refused = results.flatMap((result, i) =>
        result.status === 'rejected' ? [[ids[i], result.reason]] : [],
      );
      expect(refused).toEqual([['req_30', expect.objectContaining({ problem: 'unwritable' })]]);
      expect(await store.backlog()).toBe(1);
      expect(await store.attempts('req_30')).toEqual([]);
      expect(await settle('req_30', 200)).toBe(true);
    });

    /** Twenty requests that 'a' runs, and their results offered at once. */
    async function twentyRunning() {
      const url = await server.freshUrl();
      const store = await openStore(url);
      onTestFinished(() => store.close());
      const client = new Client({ connectionString: url });
      await client.connect();
      onTestFinished(() => client.end());
      const ids = Array.from({ length: 20 }, (_, i) => `req_${i}`);
      await Promise.all(ids.map((id) => store.submit(newJob(id))));
      await store.claim({ owner: 'a', now: 2_000, leaseNow: 2_000, leaseMs: 9_000, limit: 20 });
      const offers = ids.map((id) => settlement(id, { ordered: false }));
      return { client, offers, store };
    }

    test('a result that the database refuses for its own reasons does not hold up the others', async () => {
      const { client, offers, store } = await twentyRunning();
      await client.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.id = 'req_7' THEN RAISE 'not this one'; END IF; RETURN NEW; END $$`);
      await client.query(
        'CREATE TRIGGER refusing BEFORE UPDATE ON breakwater_job FOR EACH ROW EXECUTE FUNCTION refuse()',
      );
      const results = await Promise.allSettled(offers.map((offer) => store.settle(offer)));
      expect(results.filter(({ status }) => status === 'rejected')).toEqual([
        { status: 'rejected', reason: expect.objectContaining({ problem: 'failed' }) as unknown },
      ]);
      expect(await store.backlog()).toBe(1);
    });

    test('a request that a person has locked does not hold up the results of others', async () => {
      const { client, offers, store } = await twentyRunning();
      await client.query('BEGIN');
      await client.query(`SELECT 1 FROM breakwater_job WHERE id = 'req_7' FOR UPDATE`);
      const [locked, others] = [offers.slice(7, 8), offers.toSpliced(7, 1)];
      const waits = locked.map((offer) => store.settle(offer));
      expect(await Promise.all(others.map((offer) => store.settle(offer)))).toEqual(others.map(() => true));
      await expect(waits[0]).rejects.toMatchObject({ problem: 'locked' });
      await client.query('COMMIT');
      expect(await Promise.all(locked.map((offer) => store.settle(offer)))).toEqual([true]);
    });

    test('results that arrive together share a transaction, and a large one has its own', async () => {
      const commits: number[] = [];
      const store = await openStore(await server.freshUrl(), {
        onCommit: (_, batches) => commits.push(batches),
      });
      onTestFinished(() => store.close());
      const ids = Array.from({ length: 40 }, (_, i) => `req_${i}`);
      await Promise.all(ids.map((id) => store.submit(newJob(id))));
      await store.claim({ owner: 'a', now: 2_000, leaseNow: 2_000, leaseMs: 9_000, limit: 40 });
      const settle = (id: string, bytes: number) => {
        const reply = {
          status: 200,
          statusText: '',
          headers: [],
          body: new Uint8Array(bytes),
          truncated: false,
        };
        return store.settle(settlement(id, { ordered: false, response: reply }));
      };
      commits.length = 0;
      await Promise.all(ids.slice(0, 37).map((id) => settle(id, 100)));
      expect(commits).toHaveLength(1);
      commits.length = 0;
      await Promise.all(ids.slice(37).map((id) => settle(id, 700_000)));
      expect(commits).toHaveLength(3);
    });

    test('idle connections that the server ended do no harm', async () => {
      const url = await server.freshUrl();
      const db = await bare(url);
      await Promise.all(Array.from({ length: 5 }, () => db.batch([plain('SELECT 1')])));
      const client = new Client({ connectionString: url });
      await client.connect();
      await client.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'breakwater'`,
      );
      await client.end();
      const results = await Promise.allSettled(
        Array.from({ length: 8 }, (_, x) => db.batch([plain('INSERT INTO t VALUES ($1)', x)])),
      );
      for (const result of results.filter(({ status }) => status === 'rejected'))
        expect(result).toMatchObject({ reason: { problem: 'unreachable' } });
      expect(await db.batch([plain('SELECT 1 AS one')])).toEqual([[{ one: 1 }]]);
    });

    test('a read-only server is reported as such', async () => {
      const url = await server.freshUrl();
      await (await openStore(url)).close();
      const reading = new URL(url);
      reading.searchParams.set(
        'options',
        `${reading.searchParams.get('options')} -c default_transaction_read_only=on`,
      );
      const db = openPostgres(reading.href);
      onTestFinished(() => db.close());
      const insert = plain(`INSERT INTO breakwater_paused VALUES ('r', 1)`);
      await expect(db.batch([insert])).rejects.toMatchObject({ problem: 'read_only' });
    });

    test('the locks of a silent replica are released after a timeout', async () => {
      const db = await bare(await server.freshUrl());
      const settings = ['lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout'];
      const shown = await db.batch(settings.map((name) => plain(`SHOW ${name}`)));
      expect(shown.flat().flatMap((row) => Object.values(row))).toEqual(['5s', '30s', '30s']);
    });

    test('commits to disk even if the server has synchronous_commit off', async () => {
      const url = new URL(await server.freshUrl());
      url.searchParams.set('options', `${url.searchParams.get('options')} -c synchronous_commit=off`);
      const db = await bare(url.href);
      const asked = await Promise.all(
        Array.from({ length: 5 }, () => db.batch([plain('SHOW synchronous_commit')])),
      );
      for (const answer of asked) expect(answer).toEqual([[{ synchronous_commit: 'on' }]]);
    });

    test('a transaction that loses a deadlock is repeated', async () => {
      const url = await server.freshUrl();
      const db = await bare(url);
      await db.batch([plain('INSERT INTO t VALUES (1), (2)')]);
      const update = (x: number) => plain('UPDATE t SET x = x WHERE x = $1', x);
      const pause = plain(`SELECT pg_sleep(0.05)`);
      const pairs = Array.from({ length: 4 }, (_, i) => (i % 2 === 0 ? [1, 2] : [2, 1]));
      await Promise.all(pairs.map(([a = 0, b = 0]) => db.batch([update(a), pause, update(b)])));
      expect(await rowsOf(db)).toEqual([1, 2]);
    });

    test('concurrent starts create the schema once; a newer schema is not changed', async () => {
      const url = await server.freshUrl();
      const stores = await Promise.all(Array.from({ length: 6 }, () => openStore(url)));
      const secrets = await Promise.all(stores.map((store) => store.secret()));
      expect(new Set(secrets).size).toBe(1);
      await Promise.all(stores.map((store) => store.close()));
      const db = await bare(url);
      await db.batch([plain('INSERT INTO breakwater_schema (version) VALUES (99)')]);
      await expect(openStore(url)).rejects.toMatchObject({
        message: expect.stringContaining('schema 99, made by a newer Breakwater') as string,
      });
    });

    test('backup is refused, because PostgreSQL has its own tools', async () => {
      const store = await openStore(await server.freshUrl());
      onTestFinished(() => store.close());
      await expect(store.backup('/x')).rejects.toMatchObject({
        message: expect.stringContaining('pg_dump') as string,
      });
      expect(await store.bytes()).toBeUndefined();
      expect(await store.submit(newJob('req_1'))).toMatchObject({ kind: 'accepted' });
    });
  },
);
