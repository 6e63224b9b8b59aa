import type { Db, DbOptions } from './db.ts';
import { migrate } from './schema.ts';
import { SqlStore } from './sql-store.ts';
import type { Store } from './store.ts';

/**
 * Opens the store at `where`: a file's path, or `postgres://…` for one that several replicas share. Rejects with a
 * StoreError that says what is wrong with it.
 */
export async function openStore(where: string, options: DbOptions = {}): Promise<Store> {
  const db = await openDb(where, options);
  try {
    await migrate(db);
    if (db.dialect === 'sqlite') await endLeases(db);
  } catch (error) {
    await db.close();
    throw error;
  }
  return new SqlStore(db);
}

/** Loaded on demand: who has no durable route pays for neither, who has one pays for one. */
async function openDb(where: string, options: DbOptions): Promise<Db> {
  if (/^postgres(ql)?:/.test(where)) {
    const { openPostgres } = await import('./postgres.ts');
    return openPostgres(where, options);
  }
  const { openSqlite } = await import('./sqlite.ts');
  return openSqlite(where, options);
}

/** Nobody else has the file: who ran these requests is gone. */
async function endLeases(db: Db): Promise<void> {
  await db.batch([{ sql: `UPDATE breakwater_job SET wake_at = 0 WHERE status = 'running'`, params: [] }]);
}
