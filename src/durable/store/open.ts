import type { Db, DbOptions } from './db.ts';
import { migrate } from './schema.ts';
import { SqlStore } from './sql-store.ts';
import { openSqlite } from './sqlite.ts';
import type { Store } from './store.ts';

/** Opens the store at `where`, a file or a `postgres://` URL. Rejects with a StoreError that gives the reason. */
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

/** The driver of PostgreSQL is large, so it is loaded on demand. */
async function openDb(where: string, options: DbOptions): Promise<Db> {
  if (/^postgres(ql)?:/.test(where)) {
    const { openPostgres } = await import('./postgres.ts');
    return openPostgres(where, options);
  }
  return openSqlite(where, options);
}

/** This process holds the file's lock, so the processes that ran these requests have stopped. */
async function endLeases(db: Db): Promise<void> {
  await db.batch([{ sql: `UPDATE breakwater_job SET wake_at = 0 WHERE status = 'running'`, params: [] }]);
}
