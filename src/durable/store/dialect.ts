import type { Db, Param, Statement, Value } from './db.ts';

/** Name and type of a column. Types are those of PostgreSQL. */
export type Column = `${string} ${'TEXT' | 'BIGINT' | 'BYTEA'}`;

/** SQL fragments that differ between the two databases. */
export interface Dialect {
  /** Whether WITH may contain statements that change rows, so that one statement can change several tables. */
  readonly writesInWith: boolean;
  /**
   * Maximum number of rows of `table`. SQLite needs only one: its batches share a commit anyway, and a statement
   * costs no round trip.
   */
  readonly rows: number;
  /** Rows given by parameters, from `$1` on, as a table for FROM. */
  table(name: string, columns: readonly Column[]): string;
  /** The parameters of `table`. */
  params(rows: readonly (readonly Value[])[]): readonly Param[];
  /** Type of an auto-increment primary key. */
  readonly serial: string;
  /** Type of a primary key that references another table's key. SQLite needs INTEGER here to avoid a second index. */
  readonly number: string;
  /** Suffix of a SELECT whose rows are then updated: skips rows that another replica has locked. */
  readonly skipLocked: string;
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
  table: (name, columns) =>
    `(SELECT ${columns.map((column, i) => `$${i + 1} AS ${nameOf(column)}`).join(', ')}) AS ${name}`,
  params: (rows) => rows.flat(),
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

export const POSTGRES: Dialect = {
  writesInWith: true,
  rows: 64,
  table: (name, columns) =>
    `unnest(${columns.map((column, i) => `CAST($${i + 1} AS ${typeOf(column)}[])`).join(', ')})
      AS ${name} (${columns.map(nameOf).join(', ')})`,
  params: (rows) => (rows[0] ?? []).map((_, i) => rows.map((row) => row[i] ?? null)),
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

export function nameOf(column: Column): string {
  return column.slice(0, column.indexOf(' '));
}

function typeOf(column: Column): string {
  return column.slice(column.indexOf(' ') + 1);
}

export function dialectOf(db: Db): Dialect {
  return db.dialect === 'sqlite' ? SQLITE : POSTGRES;
}
