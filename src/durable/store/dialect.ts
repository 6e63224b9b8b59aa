import type { Db, Statement } from './db.ts';

/** The few words in which the two databases differ. */
export interface Dialect {
  /** Type of a primary key that counts up by itself. */
  readonly serial: string;
  /** Type of a primary key that is somebody else's number; what SQLite does not call INTEGER costs it a second index. */
  readonly number: string;
  /** At the end of a SELECT whose rows are changed next: rows that another replica is changing are passed over. */
  readonly skipLocked: string;
  /** The texts of a JSON array that is given as one parameter, as rows. */
  textsOf(param: string): string;
  /** At the end of a SELECT whose rows must stay as they are until the transaction's end. */
  readonly share: string;
  /** The database's own clock, in milliseconds since 1970. */
  readonly now: string;
  /** Keeps all other transactions that name the same key out until this one ends. SQLite runs one at a time anyway. */
  lock(key: string): readonly Statement[];
  /** The same for the queue of the request with this id, if it is in one. */
  lockOrderOf(id: string): readonly Statement[];
  /** Gives freed pages back to the file system; PostgreSQL does by itself what can be done. */
  giveBack(pages: number): readonly Statement[];
}

const SQLITE: Dialect = {
  serial: 'INTEGER PRIMARY KEY',
  number: 'INTEGER',
  skipLocked: '',
  share: '',
  now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
  textsOf: (param) => `SELECT value FROM json_each(${param})`,
  lock: () => [],
  lockOrderOf: () => [],
  giveBack: (pages) => [{ sql: `PRAGMA incremental_vacuum(${pages})`, params: [] }],
};

const POSTGRES: Dialect = {
  number: 'BIGINT',
  serial: 'BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY',
  skipLocked: 'FOR UPDATE SKIP LOCKED',
  share: 'FOR SHARE',
  now: 'CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)',
  textsOf: (param) => `SELECT json_array_elements_text(CAST(${param} AS json))`,
  lock: (key) => [
    { sql: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', params: [`breakwater:${key}`] },
  ],
  lockOrderOf: (id) => [
    {
      sql: `SELECT pg_advisory_xact_lock(hashtextextended('breakwater:key:' || order_queue, 0))
        FROM breakwater_job WHERE id = $1 AND order_queue IS NOT NULL`,
      params: [id],
    },
  ],
  giveBack: () => [],
};

export function dialectOf(db: Db): Dialect {
  return db.dialect === 'sqlite' ? SQLITE : POSTGRES;
}
