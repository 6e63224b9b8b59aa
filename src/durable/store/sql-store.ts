import type { ClaimedJob, Job, NewJob, StoredResponse } from '../job.ts';
import { cancelBatch, eraseBatch, restartBatch, sendNowBatch } from './change.ts';
import { claimBatch, claimedStatement, NEXT_WAKE } from './claim.ts';
import { type Db, type Purpose, type Row, type Statement, StoreError } from './db.ts';
import { type Dialect, dialectOf } from './dialect.ts';
import { insertJob, keyHolder } from './insert.ts';
import { BACKLOG, COUNTS, jobStatement, listStatement, progressStatement, rowsOf } from './list.ts';
import { noteStatement, notesStatement, type StoredNote } from './notes.ts';
import { moveBatch, PAUSED, pauseBatch, resumeBatch } from './routes.ts';
import {
  attemptOf,
  claimedOf,
  jobOf,
  number,
  optional,
  progressOf,
  requestOf,
  responseOf,
  text,
} from './rows.ts';
import { setBack } from './set-back.ts';
import { Settlements } from './settlements.ts';
import { isStorable, storable } from './storable.ts';
import type { Changed, Claim, Filter, LostClaims, Settlement, Store, Submitted } from './store.ts';
import { sweepBatch } from './sweep.ts';

/** Another replica may take or release a key between the lookup and the insert; then both are repeated. */
const SUBMIT_TRIES = 5;

/** Bulk changes commit in portions of this many requests, so that other work runs in between. */
const BULK = 100;

/** The store on a migrated database. Each transaction is one batch, so that no transaction waits for this process. */
export class SqlStore implements Store {
  readonly #db: Db;
  readonly #dialect: Dialect;
  readonly #settlements: Settlements;

  constructor(db: Db) {
    this.#db = db;
    this.#dialect = dialectOf(db);
    this.#settlements = new Settlements((batch) => this.#run(batch), this.#dialect);
  }

  async submit(job: NewJob): Promise<Submitted> {
    for (let tries = 0; tries < SUBMIT_TRIES; tries++) {
      const before = keyHolder(job);
      const insert = insertJob(job, this.#dialect);
      const results = await this.#run([...before, ...insert], 'accept');
      const precondition = before.length + insert.findIndex((statement) => statement.precondition === true);
      if (results[precondition]?.length === 1) return { kind: 'accepted', id: job.id };
      const holder = results[before.length - 1]?.[0];
      if (holder === undefined) continue;
      const same = text(holder, 'fingerprint') === job.fingerprint;
      return { kind: same ? 'repeat' : 'conflict', id: text(holder, 'id') };
    }
    throw new StoreError(
      'failed',
      `the id ${job.id} is in use, or the holder of its Idempotency-Key changed on every try`,
    );
  }

  async claim(claim: Claim) {
    return inOrder((await this.#run(claimBatch(claim, this.#dialect), 'begin')).at(-1));
  }

  async claimed(lost: LostClaims) {
    return inOrder((await this.#run([claimedStatement(lost, this.#dialect)], 'begin'))[0]);
  }

  settle(settlement: Settlement): Promise<boolean> {
    return this.#settlements.settle(settlement);
  }

  async setBack(now: number): Promise<number> {
    return (await this.#rows(setBack(now, this.#dialect))).length;
  }

  async nextDueAt(): Promise<number | undefined> {
    const [row] = await this.#rows(NEXT_WAKE);
    return row && number(row, 'wake_at');
  }

  async get(id: string) {
    const [row] = await this.#rows(jobStatement(id));
    return row && jobOf(row);
  }

  async progress(ids: readonly string[]) {
    return (await this.#rows(progressStatement(ids, this.#dialect))).map(progressOf);
  }

  async response(id: string): Promise<StoredResponse | undefined> {
    const [row] = await this.#rows(rowsOf('response', id));
    return row && responseOf(row);
  }

  async request(id: string) {
    const [row] = await this.#rows(rowsOf('request', id));
    return row && requestOf(row);
  }

  async attempts(id: string) {
    return (await this.#rows(rowsOf('attempt', id))).map(attemptOf);
  }

  async list(filter: Filter) {
    return (await this.#rows(listStatement(filter))).map(jobOf);
  }

  async counts() {
    const rows = await this.#rows(COUNTS);
    return rows.map((row) => ({
      route: text(row, 'route'),
      status: text(row, 'status') as Awaited<ReturnType<Store['counts']>>[number]['status'],
      count: number(row, 'count'),
      oldestDueAt: optional<number>(row, 'oldest'),
    }));
  }

  async backlog(): Promise<number> {
    const [row] = await this.#rows(BACKLOG);
    return row === undefined ? 0 : number(row, 'count');
  }

  cancel(id: string, now: number, purgeAt: number, callbacks: readonly NewJob[] = []): Promise<Changed> {
    const inserts = callbacks.flatMap((job) => insertJob(job, this.#dialect));
    return this.#change(id, [...cancelBatch(id, now, purgeAt, this.#dialect), ...inserts]);
  }

  erase(id: string, now: number, purgeAt: number): Promise<Changed> {
    return this.#change(id, eraseBatch(id, now, purgeAt, this.#dialect));
  }

  async retry(id: string, change: Parameters<Store['retry']>[1]): Promise<Changed> {
    const sentNow = await this.#change(id, sendNowBatch(id, change.now));
    return sentNow.kind === 'refused' ? this.#change(id, restartBatch(id, change, this.#dialect)) : sentNow;
  }

  retryAll(filter: Filter, change: { readonly now: number; readonly deadlineAt: number }) {
    return this.#all(filter, ({ id }) => this.retry(id, { ...change, force: false }));
  }

  cancelAll(filter: Filter, now: number, purgeAt: number, callbacks?: (job: Job) => readonly NewJob[]) {
    return this.#all(filter, (job) => this.cancel(job.id, now, purgeAt, callbacks?.(job)));
  }

  async moveDue(move: Parameters<Store['moveDue']>[0]): Promise<number> {
    const [[row] = []] = await this.#run(moveBatch(move));
    return row === undefined ? 0 : number(row, 'count');
  }

  async pause(route: string, now: number): Promise<void> {
    await this.#run(pauseBatch(route, now));
  }

  async resume(route: string, now: number): Promise<void> {
    await this.#run(resumeBatch(route, now));
  }

  async paused() {
    return (await this.#rows(PAUSED)).map((row) => text(row, 'route'));
  }

  async submitSlot(schedule: string, slotAt: number, job: NewJob | undefined): Promise<boolean> {
    const slot: Statement = {
      sql: `INSERT INTO breakwater_slot (schedule, slot_at) VALUES ($1, $2)
        ON CONFLICT DO NOTHING RETURNING slot_at`,
      params: [schedule, slotAt],
      precondition: true,
    };
    const insert = job === undefined ? [] : insertJob(job, this.#dialect);
    const [rows = []] = await this.#run([slot, ...insert], job === undefined ? 'finish' : 'accept');
    return rows.length === 1;
  }

  async lastSlot(schedule: string, now: number) {
    const latest = (which: string) =>
      `(SELECT max(slot_at) FROM breakwater_slot WHERE schedule = $1 AND slot_at ${which} $2)`;
    const sql = `SELECT ${latest('<=')} AS due, ${latest('>')} AS ahead`;
    const [row = {}] = await this.#rows({ sql, params: [schedule, now] });
    return { due: optional<number>(row, 'due'), ahead: optional<number>(row, 'ahead') };
  }

  async sweep(now: number, limit: number): Promise<number> {
    const results = await this.#run(sweepBatch(now, limit, this.#dialect));
    return results.slice(0, 2).reduce((sum, rows) => sum + rows.length, 0);
  }

  backup(file: string): Promise<void> {
    return this.#db.backup(file);
  }

  async wallTime(): Promise<number> {
    const [row] = await this.#rows({ sql: `SELECT ${this.#dialect.now} AS now`, params: [] });
    return number(row as Row, 'now');
  }

  bytes(): Promise<number | undefined> {
    return this.#db.bytes();
  }

  close(): Promise<void> {
    this.#settlements.flush();
    return this.#db.close();
  }

  async secret(): Promise<string> {
    const sql = `SELECT value FROM breakwater_fact WHERE name = 'secret'`;
    const [row] = await this.#rows({ sql, params: [] });
    return text(row as Row, 'value');
  }

  async notes(most: number) {
    const rows = await this.#rows(notesStatement(most));
    return rows.map((row) => ({ name: text(row, 'name'), text: text(row, 'value') }));
  }

  /** They are the first to fail on a full disk: requests matter more. */
  async writeNotes(notes: readonly StoredNote[]): Promise<void> {
    await this.#run(notes.map(noteStatement), 'accept');
  }

  #run(statements: readonly Statement[], purpose?: Purpose): ReturnType<Db['batch']> {
    return this.#db.batch(statements.map(cleaned), purpose);
  }

  async #rows(statement: Statement): Promise<readonly Row[]> {
    const [rows = []] = await this.#run([statement]);
    return rows;
  }

  async #change(id: string, batch: readonly Statement[]): Promise<Changed> {
    const results = await this.#run(batch);
    const changed = results[batch.findIndex((statement) => statement.precondition === true)]?.[0];
    if (changed !== undefined) return { kind: 'changed', job: jobOf(changed) };
    const job = await this.get(id);
    return job === undefined ? { kind: 'unknown' } : { kind: 'refused', job };
  }

  async #all(filter: Filter, change: (job: Job) => Promise<Changed>) {
    const jobs = await this.list(filter);
    let changed = 0;
    for (let i = 0; i < jobs.length; i += BULK) {
      const changes = await Promise.all(jobs.slice(i, i + BULK).map(change));
      changed += changes.filter(({ kind }) => kind === 'changed').length;
    }
    return { matched: jobs.length, changed };
  }
}

const cleaned = (statement: Statement): Statement =>
  statement.params.every(isStorable) ? statement : { ...statement, params: statement.params.map(storable) };

/** Oldest due first. */
const inOrder = (rows: readonly Row[] = []): ClaimedJob[] =>
  rows.map(claimedOf).sort((a, b) => a.dueAt - b.dueAt || a.seq - b.seq);
