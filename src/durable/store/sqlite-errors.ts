import type { StoreProblem } from './db.ts';
import type { Failure } from './sqlite-protocol.ts';

/** SQLite's primary result codes (https://sqlite.org/rescode.html), and error codes of the file system. */
const PROBLEMS: ReadonlyMap<string, StoreProblem> = new Map(
  Object.entries<StoreProblem>({
    5: 'locked',
    6: 'locked',
    8: 'read_only',
    11: 'corrupt',
    13: 'full',
    // TOOBIG, CONSTRAINT, MISMATCH, RANGE: faults of the statement.
    18: 'unwritable',
    19: 'unwritable',
    20: 'unwritable',
    25: 'unwritable',
    26: 'corrupt',
    EACCES: 'read_only',
    EPERM: 'read_only',
    EROFS: 'read_only',
    // Node could not bind a parameter.
    ERR_INVALID_ARG_TYPE: 'unwritable',
  }),
);

const MEANING: Readonly<Partial<Record<StoreProblem, string>>> = {
  locked: 'another process has the file open',
  read_only: 'the file is not writable',
  corrupt: 'the file is damaged or is not a database',
  full: 'the disk is full',
};

/** Converts an error of SQLite or the file system to a message for people. */
export function failureOf(error: unknown, file: string): Failure {
  const { errcode, code = '', message } = error as { errcode?: number; code?: string; message?: string };
  const problem = PROBLEMS.get(errcode === undefined ? code : String(errcode & 0xff)) ?? 'failed';
  const meaning = MEANING[problem];
  return {
    problem,
    message: `durable store ${file}: ${meaning === undefined ? message : `${meaning} (${message})`}`,
  };
}

/** SQLITE_NOTADB, SQLITE_IOERR_FSYNC and SQLITE_IOERR_DIR_FSYNC. */
const NOT_DURABLE: ReadonlySet<number> = new Set([26, 1034, 1290]);

/**
 * Whether the file can no longer store anything safely. A damaged file may lose data. After a failed fsync, the
 * kernel may have dropped pages of earlier commits, too (https://wiki.postgresql.org/wiki/Fsync_Errors).
 */
export function losesDurability(error: unknown): boolean {
  const { errcode = 0 } = error as { errcode?: number };
  return NOT_DURABLE.has(errcode) || (errcode & 0xff) === 11;
}
