/** A column's value. Integers are within ±2^53. */
export type Value = string | number | Uint8Array | null;

/** SQL that both dialects support, with `$1`, `$2` … for its parameters. */
export interface Statement {
  readonly sql: string;
  readonly params: readonly Value[];
  /**
   * Set if the SQL is always the same and names its columns: PostgreSQL then plans it once per connection, without its
   * parameters. A `*` would fail after another replica has added a column.
   */
  readonly name?: string;
  /**
   * If a precondition returns no row, the batch is rolled back and ends. Its rows and those of later statements are [].
   * SQLite: a change without RETURNING counts as one row if it has changed any.
   */
  readonly precondition?: true;
}

export type Row = Readonly<Record<string, Value>>;

/**
 * Priority of a batch on a full disk: `accept` fails first, then `begin`; `finish` is served last. PostgreSQL manages
 * its own disk.
 */
export type Purpose = 'accept' | 'begin' | 'finish';

/** The database interface of the store. */
export interface Db {
  /** For the few statements that differ between the dialects. */
  readonly dialect: 'sqlite' | 'postgres';
  /**
   * Runs the statements in order as one transaction, and resolves with the rows of each once it is on disk. Rejects
   * with a StoreError if nothing was stored. If the connection broke during COMMIT, the outcome is unknown. Batches
   * may share a commit.
   */
  batch(statements: readonly Statement[], purpose?: Purpose): Promise<readonly (readonly Row[])[]>;
  /** Makes a consistent copy at `file`, which must not exist. Rejects for PostgreSQL, which has its own tools. */
  backup(file: string): Promise<void>;
  /** Bytes on disk. Undefined for PostgreSQL. */
  bytes(): Promise<number | undefined>;
  close(): Promise<void>;
}

export interface DbOptions {
  /** Called after each commit with its duration in milliseconds and the number of its batches. */
  readonly onCommit?: ((ms: number, batches: number) => void) | undefined;
}

/** Why the store fails. `unwritable`: only this batch cannot be stored, and the store works. */
export type StoreProblem =
  | 'full'
  | 'read_only'
  | 'corrupt'
  | 'locked'
  | 'unreachable'
  | 'closed'
  | 'unwritable'
  | 'failed';

const OF_ONE: ReadonlySet<StoreProblem> = new Set(['unwritable', 'failed', 'locked']);

/** Whether one row may be the cause: its contents, or a lock on it. Other rows can then be written. */
export const isOfOneRow = ({ problem }: StoreError): boolean => OF_ONE.has(problem);

/** The database failed; nothing of the batch is stored. */
export class StoreError extends Error {
  readonly problem: StoreProblem;

  constructor(problem: StoreProblem, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'StoreError';
    this.problem = problem;
  }
}
