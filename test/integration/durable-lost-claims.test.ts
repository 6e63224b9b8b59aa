import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MISSING, type PostgresServer, startPostgres } from '../durable/postgres-server.ts';
import { wire } from '../durable/wire.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { ok, startOrigin } from '../support/origin.ts';

let server: PostgresServer;
beforeAll(async () => {
  if (MISSING === undefined) server = await startPostgres();
});
afterAll(() => server?.stop());

async function query(url: string, sql: string): Promise<readonly object[]> {
  const db = new Client({ connectionString: url });
  await db.connect();
  const { rows } = await db.query(sql);
  await db.end();
  return rows as readonly object[];
}

describe.skipIf(MISSING !== undefined || process.env['BREAKWATER_TEST_POSTGRES'] !== undefined)(
  `claims of PostgreSQL ${MISSING ?? ''}`,
  () => {
    test.each([true, false])(
      'the connection breaks during a claim (committed: %s): a POST without a key is sent once, in its first attempt',
      async (passedOn) => {
        const origin = await startOrigin(ok('done'));
        const store = await server.freshUrl();
        const before = await startDurable(durableConfig(origin, { store }));
        const location = await before.accepted({ 'breakwater-delay': '1h' }, { method: 'POST' });
        await before.proxy.app.stop(0);
        await query(store, 'UPDATE breakwater_job SET due_at = 1, wake_at = 1');
        const line = await wire(store);
        const cut = line.arm('WITH parked AS', { kind: 'cut', passedOn });
        const client = await startDurable(durableConfig(origin, { store: line.url }));
        await cut;
        const [row] = await query(store, 'SELECT status FROM breakwater_job');
        expect(row).toEqual({ status: passedOn ? 'running' : 'queued' });
        expect(await client.done(location)).toMatchObject({ status: 'succeeded', attempts: { made: 1 } });
        expect(origin.requests).toHaveLength(1);
      },
    );
  },
);
