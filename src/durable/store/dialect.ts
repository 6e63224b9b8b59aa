import type { Db, Statement } from './db.ts';

/** SQL fragments that differ between the two databases. */
export interface Dialect {
  /** Whether WITH may contain statements that change rows, so that one statement can change several tables. */
  readonly writesInWith: boolean;
  /**
   * Maximum number of settlements in one statement. SQLite needs only one: its batches share a commit anyway, and a
   * statement costs no round trip.
   */
  readonly rows: number;
  /** Type of an auto-increment primary key. */
  readonly serial: string;
  /** Type of a primary key that references another table's key. SQLite needs INTEGER here to avoid a second index. */
  readonly number: string;
  /** Suffix of a SELECT whose rows are then updated: skips rows that another replica has locked. */
  readonly skipLocked: string;
  /**
   * A condition that is true for the values that `select` returns. Its values are looked up in an index of the column,
   * also by a plan that PostgreSQL made while the table was empty.
   */
  isOneOf(column: string, select: string): string;
  /** Expands a JSON array parameter into rows of text. */
  textsOf(param: string): string;
  /** Suffix of a SELECT whose rows must not change until the end of the transaction. */
  readonly share: string;
  /** The database's clock in milliseconds since 1970. */
  readonly now: string;
  /**
   * Locks `key` until the end of the transaction. SQLite needs no lock, because it runs one transaction at a time.
   */
  lock(key: string): readonly Statement[];
  /** Locks the order queue of the request with this id, if it has one. */
  lockOrderOf(id: string): readonly Statement[];
  /** Returns freed pages to the file system. PostgreSQL does so by itself. */
  giveBack(pages: number): readonly Statement[];
}

export const SQLITE: Dialect = {
  writesInWith: false,
  rows: 1,
  serial: 'INTEGER PRIMARY KEY',
  number: 'INTEGER',
  skipLocked: '',
  share: '',
  now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
  isOneOf: (column, select) => `${column} IN (${select})`,
  textsOf: (param) => `SELECT value FROM json_each(${param})`,
  lock: () => [],
  lockOrderOf: () => [],
  giveBack: (pages) => [{ sql: `PRAGMA incremental_vacuum(${pages})`, params: [] }],
};

export const POSTGRES: Dialect = {
  writesInWith: true,
  rows: 64,
  number: 'BIGINT',
  serial: 'BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY',
  skipLocked: 'FOR UPDATE SKIP LOCKED',
  share: 'FOR SHARE',
  now: 'CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)',
  isOneOf: (column, select) => `${column} = ANY (ARRAY(${select}))`,
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
