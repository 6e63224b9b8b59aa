/** What a column holds. Integers stay within 2^53. */
export type Value = string | number | Uint8Array | null;

/** SQL that both dialects understand, with `$1`, `$2` … for its parameters. */
export interface Statement {
  readonly sql: string;
  readonly params: readonly Value[];
  /** Where it gives no row, the batch ends there and nothing of it is kept; the rows of this and all later ones are []. */
  readonly gate?: true;
}

export type Row = Readonly<Record<string, Value>>;

/**
 * What a batch is for, where space is short: new requests are refused first, then no attempt is begun; the ends of attempts,
 * and all that people ask for, go on to the last. PostgreSQL's disk is its server's business.
 */
export type Purpose = 'accept' | 'begin' | 'finish';

/** A database, as the store needs it. */
export interface Db {
  /** The few places where the dialects differ ask for it. */
  readonly dialect: 'sqlite' | 'postgres';
  /**
   * Runs the statements in order as one transaction and resolves with the rows of each. When the promise resolves, all
   * of it is on disk; when it rejects (`StoreError`), none of it is, unless the connection broke while it was being
   * committed: that nobody knows. Batches may share a commit.
   */
  batch(statements: readonly Statement[], purpose?: Purpose): Promise<readonly (readonly Row[])[]>;
  /** A consistent copy at `file`, which must not exist. Rejects where the database has means of its own. */
  backup(file: string): Promise<void>;
  /** Bytes on disk; undefined where it is not ours to know. */
  bytes(): Promise<number | undefined>;
  close(): Promise<void>;
}

export interface DbOptions {
  /** Told of each commit: how long it took, and how many batches shared it. */
  readonly onCommit?: ((ms: number, batches: number) => void) | undefined;
}

/** Why the store cannot take or give anything now; `unwritable`: this batch alone is at fault, and the store is well. */
export type StoreProblem =
  | 'full'
  | 'read_only'
  | 'corrupt'
  | 'locked'
  | 'unreachable'
  | 'closed'
  | 'unwritable'
  | 'failed';

/** The database would not; nothing of the batch is in it. */
export class StoreError extends Error {
  readonly problem: StoreProblem;

  constructor(problem: StoreProblem, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'StoreError';
    this.problem = problem;
  }
}
