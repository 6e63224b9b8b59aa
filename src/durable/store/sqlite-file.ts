import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { backup, DatabaseSync, type StatementSync } from 'node:sqlite';
import { sqliteVersion } from '../../runtime/process.ts';
import type { Value } from './db.ts';
import { Reserve } from './reserve.ts';
import { failureOf, losesDurability } from './sqlite-errors.ts';
import type { Answer, Failure, SentBatch, SentRows, SentText } from './sqlite-protocol.ts';
import { TamperCheck } from './tamper-check.ts';

/**
 * Minimum version. In older ones, a WAL file could be reset while it was read:
 * https://sqlite.org/releaselog/3_51_3.html
 */
const OLDEST = [3, 51, 3] as const;

/** A longer WAL is truncated to this. */
const JOURNAL_LIMIT_BYTES = 64 * 1024 * 1024;
/** Larger files are not checked at each start. Checking this size takes half a second. */
const CHECKED_BYTES = 64 * 1024 * 1024;

/** Pages copied at a time: 1 MiB. */
const BACKUP_PAGES = 256;

const CACHE_KIB = 8 * 1024;

/** The file, held by this process alone. All calls are synchronous, because they run in a worker thread. */
export class SqliteFile {
  readonly #db: DatabaseSync;
  readonly #file: string;
  readonly #texts: SentText[] = [];
  readonly #prepared: Prepared[] = [];
  readonly #reserve: Reserve;
  readonly #tamperCheck: TamperCheck;
  #broken: Failure | undefined;
  /** Settles when no backup is in progress. Never rejects. */
  #copied: Promise<void> = Promise.resolve();

  /** Throws SQLite's own error if the file cannot be opened. */
  constructor(file: string) {
    this.#file = file;
    refuseReadOnly(file);
    createPrivate(file);
    this.#reserve = new Reserve(file);
    this.#db = new DatabaseSync(file);
    try {
      this.#refuseOldSqlite();
      this.#takeHold();
      this.#refuseDamage();
      this.#reserve.refill();
      this.#tamperCheck = new TamperCheck(file);
    } catch (error) {
      this.#db.close();
      this.#reserve.close();
      throw error;
    }
  }

  /** Adds statements, to which batches refer by number. */
  learn(texts: readonly SentText[]): void {
    this.#texts.push(...texts);
  }

  /** Runs the batches in one transaction with one fsync. A batch that fails does not fail the others. */
  run(batches: readonly SentBatch[]): Answer[] {
    const how = this.#tamperCheck.problem();
    if (how !== undefined) this.#broken ??= touched(this.#file, how);
    if (this.#broken !== undefined) return failed(batches, this.#broken);
    const whole = this.#reserve.refill();
    const refused = batches.filter(({ purpose }) => purpose === 'accept' && !whole);
    const answers = this.#committed(batches.filter((batch) => !refused.includes(batch)));
    this.#tamperCheck.remember();
    return [...answers, ...failed(refused, low(this.#file))];
  }

  /** Batches that failed on a full disk are repeated with a piece of the reserve, except those that accept new requests. */
  #committed(batches: readonly SentBatch[]): Answer[] {
    if (batches.length === 0) return [];
    const answers = this.#commit(batches);
    const full = batches.filter(({ purpose }, i) => purpose !== 'accept' && isFull(answers[i]));
    const [first] = full;
    if (first === undefined) return answers;
    const purpose = full.every((batch) => batch.purpose === 'begin') ? 'begin' : 'finish';
    if (!this.#reserve.draw(this.#needs(full), purpose)) return answers;
    this.#checkpoint();
    const again = new Map(this.#committed(full).map((answer) => [answer.id, answer]));
    return answers.map((answer) => again.get(answer.id) ?? answer);
  }

  /** Bytes to release: the pages, their copies in the WAL, and pages in the WAL for which the file could not grow. */
  #needs(batches: readonly SentBatch[]): number {
    const values = batches.flatMap(({ params }) => params.flat());
    const bytes = values.reduce<number>(
      (sum, value) => sum + (value instanceof Uint8Array ? value.length : 0),
      0,
    );
    const pragma = (name: string) => Number(this.#db.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
    const grown = pragma('page_count') * pragma('page_size') - statSync(this.#file).size;
    return 3 * bytes + Math.max(0, grown);
  }

  /** A checkpoint lets the WAL restart at its beginning, in space that it already has. */
  #checkpoint(): void {
    try {
      this.#db.exec('PRAGMA wal_checkpoint(PASSIVE)');
    } catch {
      // The disk is still too full for a checkpoint. The next piece of the reserve may be enough.
    }
  }

  /** Most batches need no savepoint, which costs a copy of each changed page. If one of them fails, all are run again with savepoints. */
  #commit(batches: readonly SentBatch[], savepoints = false): Answer[] {
    let runs = false;
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      runs = true;
      const answers = batches.map((batch) =>
        savepoints || this.#isUndoneAlone(batch) ? this.#one(batch) : this.#answer(batch),
      );
      runs = false;
      this.#db.exec('COMMIT');
      return answers;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      if (runs && !savepoints && !losesDurability(error)) return this.#commit(batches, true);
      return failed(batches, this.#failure(error));
    }
  }

  /** Copies page by page between the commits. VACUUM INTO would block all commits until it is finished. */
  backup(file: string): Promise<void> {
    const copied = this.#copied.then(() => this.#copy(file));
    this.#copied = copied.catch(() => undefined);
    return copied;
  }

  bytes(): number {
    return [this.#file, `${this.#file}-wal`].reduce(
      (sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0),
      0,
    );
  }

  /** Waits for a backup that is in progress. */
  async close(): Promise<void> {
    await this.#copied;
    this.#db.close();
    this.#tamperCheck.close();
    this.#reserve.close();
  }

  async #copy(file: string): Promise<void> {
    if (existsSync(file)) throw new Error(`${file} already exists`);
    // The copy gets its final name only when it is complete.
    const partial = `${file}.partial`;
    rmSync(partial, { force: true });
    try {
      createPrivate(partial);
      await backup(this.#db, partial, { rate: BACKUP_PAGES });
      renameSync(partial, file);
    } catch (error) {
      rmSync(partial, { force: true });
      throw error;
    }
  }

  /** Runs a batch in a savepoint. */
  #one(batch: SentBatch): Answer {
    this.#db.exec('SAVEPOINT batch');
    try {
      const answer = this.#answer(batch);
      this.#db.exec('RELEASE batch');
      return answer;
    } catch (error) {
      // A full disk, for example, rolls back the whole transaction with all its batches.
      if (!this.#db.isTransaction) throw error;
      this.#db.exec('ROLLBACK TO batch; RELEASE batch');
      return { id: batch.id, failure: this.#failure(error) };
    }
  }

  #answer({ id, texts, params }: SentBatch): Answer {
    const tables = texts.map(() => NOTHING);
    for (const [i, text] of texts.entries()) {
      const prepared = this.#statement(text);
      const found = (tables[i] = rowsOf(prepared, params[i] ?? []));
      if (!prepared.precondition || found.rows.length > 0) continue;
      // Alone, it has changed nothing.
      if (i > 0) this.#db.exec('ROLLBACK TO batch');
      break;
    }
    return { id, tables };
  }

  /** Whether a precondition undoes statements before it, but no other batch. */
  #isUndoneAlone({ texts }: SentBatch): boolean {
    return texts.some((text, i) => i > 0 && this.#texts[text]?.precondition === true);
  }

  #statement(text: number): Prepared {
    let prepared = this.#prepared[text];
    if (prepared === undefined) {
      const { sql, precondition } = this.#texts[text] as SentText;
      const statement = this.#db.prepare(sql);
      statement.setReturnArrays(true);
      const columns = statement.columns().map(({ name }) => name);
      this.#prepared[text] = prepared = { statement, columns, precondition };
    }
    return prepared;
  }

  /** Takes the lock and checks that the WAL is writable. On a full disk it releases pieces of the reserve. */
  #takeHold(): void {
    for (;;) {
      try {
        for (const pragma of this.#pragmas()) this.#db.exec(`PRAGMA ${pragma}`);
        this.#db.exec('BEGIN IMMEDIATE; COMMIT');
        return;
      } catch (error) {
        if (!isFullDisk(error) || !this.#reserve.draw(0, 'finish')) throw error;
      }
    }
  }

  /** The order matters: the lock mode before the WAL is opened, auto_vacuum before the first page is written. */
  #pragmas(): readonly string[] {
    return [
      'locking_mode = EXCLUSIVE',
      // This pragma writes even if it changes nothing, so a full disk would prevent opening the file.
      ...(this.bytes() === 0 ? ['auto_vacuum = INCREMENTAL'] : []),
      'journal_mode = WAL',
      'synchronous = FULL',
      'foreign_keys = ON',
      // A container with a read-only file system has no place for temporary files.
      'temp_store = MEMORY',
      `journal_size_limit = ${JOURNAL_LIMIT_BYTES}`,
      `cache_size = ${-CACHE_KIB}`,
    ];
  }

  #failure(error: unknown): Failure {
    const failure = failureOf(error, this.#file);
    if (losesDurability(error)) this.#broken = failure;
    return failure;
  }

  /** Refuses a damaged file at the start, because it could lose accepted requests. */
  #refuseDamage(): void {
    if (this.bytes() > CHECKED_BYTES) return;
    const [first] = this.#db.prepare('PRAGMA quick_check(1)').all();
    const found = first?.['quick_check'];
    if (found !== 'ok') throw Object.assign(new Error(String(found)), { errcode: 11 });
  }

  #refuseOldSqlite(): void {
    const parts = sqliteVersion.split('.').map(Number);
    const i = OLDEST.findIndex((part, at) => part !== parts[at]);
    if (i >= 0 && (parts[i] ?? 0) < (OLDEST[i] as number))
      throw new Error(`needs SQLite ${OLDEST.join('.')} or newer, but this node has ${sqliteVersion}`);
  }
}

interface Prepared {
  readonly statement: StatementSync;
  readonly columns: readonly string[];
  readonly precondition: boolean;
}

const NOTHING: SentRows = { columns: [], rows: [] };
const CHANGED: SentRows = { columns: [], rows: [[]] };

/** RETURNING costs a temporary table, so a precondition may do without it. */
function rowsOf({ statement, columns, precondition }: Prepared, params: readonly Value[]): SentRows {
  if (precondition && columns.length === 0) return statement.run(...params).changes > 0 ? CHANGED : NOTHING;
  const rows = statement.all(...params) as unknown as Value[][];
  return rows.length === 0 ? NOTHING : { columns, rows };
}

/**
 * Creates the file readable by its owner only, because it stores bodies. The WAL gets the same mode. An existing file
 * is not opened: closing it would release the locks of this process (https://sqlite.org/howtocorrupt.html, 2.2).
 */
function createPrivate(file: string): void {
  if (!existsSync(file)) closeSync(openSync(file, 'ax', 0o600));
}

/** SQLite would open the file read-only, or report an I/O error. */
function refuseReadOnly(file: string): void {
  accessSync(dirname(file), constants.W_OK | constants.X_OK);
  if (existsSync(file)) accessSync(file, constants.R_OK | constants.W_OK);
}

const TOUCHED = {
  replaced: {
    problem: 'failed',
    what: 'the file was removed or replaced while it was open; restart to use the file that is there now',
  },
  changed: {
    problem: 'corrupt',
    what: 'the file was truncated or written by another program while it was open; restart to have it checked',
  },
} as const;

function touched(file: string, how: keyof typeof TOUCHED): Failure {
  const { problem, what } = TOUCHED[how];
  return { problem, message: `durable store ${file}: ${what}` };
}

/** While the reserve is in use, its space is for accepted requests. */
function low(file: string): Failure {
  return {
    problem: 'full',
    message: `durable store ${file}: the disk is full; no new requests are accepted`,
  };
}

function isFull(answer: Answer | undefined): boolean {
  return answer !== undefined && 'failure' in answer && answer.failure.problem === 'full';
}

function isFullDisk(error: unknown): boolean {
  return failureOf(error, '').problem === 'full';
}

function failed(batches: readonly SentBatch[], failure: Failure): Answer[] {
  return batches.map(({ id }) => ({ id, failure }));
}
