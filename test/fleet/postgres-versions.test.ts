import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Client } from 'pg';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { EPOCH, firstRequest, freshName, opened, POSTGRES } from './engines.ts';

/* Versions of Breakwater that use one database at the same time. */

const EVERYTHING = firstRequest(10, 5, 1_000);

/** A version that gives no units ahead of time. */
async function otherVersion() {
  vi.resetModules();
  vi.doMock('../../src/fleet/ledger.ts', async (original) => ({ ...(await original()), AHEAD_MS: 0 }));
  onTestFinished(() => vi.doUnmock('../../src/fleet/ledger.ts'));
  const { openPostgresEngine } = await import('../../src/fleet/postgres.ts');
  return { ...POSTGRES, open: openPostgresEngine };
}

async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

/** A database for one test. */
async function ownDatabase(): Promise<string> {
  const server = await connected(POSTGRES.url);
  const name = `breakwater_test_${randomBytes(6).toString('hex')}`;
  await server.query(`CREATE DATABASE ${name}`);
  onTestFinished(async () => {
    const last = new Client({ connectionString: POSTGRES.url });
    await last.connect();
    await last.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await last.end();
  });
  const url = new URL(POSTGRES.url);
  url.pathname = name;
  return url.href;
}

describe.skipIf(POSTGRES.missing !== undefined)('PostgreSQL', () => {
  test('two versions share windows, and each counts by its own functions', async () => {
    const other = await otherVersion();
    const [prefix, clock] = [freshName(), () => EPOCH];
    const one = await opened(POSTGRES, { prefix, clock });
    const two = await opened(other, { prefix, clock });
    const three = await opened(POSTGRES, { prefix, clock });
    const granted = await Promise.all([
      one.lease('first', EVERYTHING),
      two.lease('second', EVERYTHING),
      three.lease('third', EVERYTHING),
    ]);
    expect(granted.map((reply) => reply.granted)).toEqual([55, 5, 55]);
    expect((await two.lease('first', EVERYTHING)).granted).toBe(0);
    expect((await one.lease('second', EVERYTHING)).granted).toBe(50);
  });

  test('the documented statement drops the functions of all versions, and a connection creates those that it needs', async () => {
    const url = await ownDatabase();
    const database = await connected(url);
    const count = async () => {
      const text = `SELECT count(*)::int AS found FROM pg_proc WHERE starts_with(proname, 'breakwater')`;
      return (await database.query<{ found: number }>(text)).rows[0]?.found;
    };
    const other = await otherVersion();
    const running = await opened({ ...POSTGRES, url });
    await opened({ ...other, url });
    await running.muster('a');
    expect(await count()).toBe(14);
    const [, statement = ''] = /```sql\n(DO [^`]*)```/.exec(readFileSync('docs/fleet.md', 'utf8')) ?? [];
    await database.query(statement);
    expect(await count()).toBe(0);
    await expect(running.muster('a')).rejects.toThrow('does not exist');
    const again = await opened({ ...POSTGRES, url });
    expect(await again.muster('a')).toMatchObject({ replicas: 1 });
    expect(await count()).toBe(7);
  });
});
