import type { Statement, Value } from './db.ts';
import type { Dialect } from './dialect.ts';
import { insertJob } from './insert.ts';
import { arraysOf, type Column, tableOf } from './postgres-arrays.ts';
import { shownText } from './storable.ts';
import type { Next, Settlement } from './store.ts';

/** Stores one settlement and what follows from it. The precondition is the fence. */
export function settleBatch(settlement: Settlement, dialect: Dialect): Statement[] {
  const { id, next, now, callbacks = [] } = settlement;
  const wakes = next.kind === 'end' && settlement.ordered !== false;
  const batch: Statement[] = [];
  if (wakes) batch.push(...dialect.lockOrderOf(id));
  if (dialect.writesInWith) batch.push({ ...settleTogether([settlement]), precondition: true });
  else pushOne(batch, settlement);
  if (wakes) batch.push(wakeNext(id, now));
  for (const job of callbacks) batch.push(...insertJob(job, dialect));
  return batch;
}

/** Whether nothing else is stored with it, so that it can share its statements with others. */
export function isShareable({ next, ordered, callbacks = [] }: Settlement): boolean {
  return callbacks.length === 0 && (next.kind === 'wait' || ordered === false);
}

/** Stores settlements by one statement of PostgreSQL. It returns the ids and attempts that passed the fence. */
export function settleTogether(settlements: readonly Settlement[]): Statement {
  return { name: 'settle', sql: ALL, params: arraysOf(settlements, COLUMNS) };
}

/** Adds the statements of SQLite. The first one has the fence: the request is running, under this owner, at this attempt. */
function pushOne(batch: Statement[], settlement: Settlement): void {
  const params = (columns: readonly SettledColumn[]) => columns.map(({ of }) => of(settlement));
  batch.push({ sql: UPDATE, params: params(OUTCOME), precondition: true });
  if (settlement.entry !== undefined) batch.push({ sql: INSERT_ATTEMPT, params: params(ATTEMPT_OF_JOB) });
  if (settlement.response !== undefined)
    batch.push({ sql: INSERT_RESPONSE, params: params(RESPONSE_OF_JOB) });
}

/** A column of the table `settled`, which has one row per settlement. */
type SettledColumn = Column<Settlement>;

const JOB_ID: SettledColumn = { name: 'job_id', type: 'TEXT', of: ({ id }) => id };

const OUTCOME: readonly SettledColumn[] = [
  JOB_ID,
  { name: 'owner', type: 'TEXT', of: ({ owner }) => owner },
  { name: 'held', type: 'BIGINT', of: ({ attempt }) => attempt },
  { name: 'now', type: 'BIGINT', of: ({ now }) => now },
  { name: 'status', type: 'TEXT', of: statusOf },
  { name: 'attempt', type: 'BIGINT', of: usedAttempts },
  { name: 'factor', type: 'BIGINT', of: ({ next }) => Number(next.kind === 'end' || !next.resetsCount) },
  {
    name: 'counts',
    type: 'BIGINT',
    of: ({ next, entry }) => Number(next.kind === 'wait' ? next.counts : entry !== undefined),
  },
  { name: 'wake_at', type: 'BIGINT', of: ({ next }) => (next.kind === 'wait' ? next.dueAt : null) },
  { name: 'reason', type: 'TEXT', of: ({ next }) => (next.kind === 'wait' ? next.reason : null) },
  { name: 'finished_at', type: 'BIGINT', of: ({ next, now }) => (next.kind === 'end' ? now : null) },
  { name: 'purge_at', type: 'BIGINT', of: ({ next }) => (next.kind === 'end' ? next.purgeAt : null) },
  { name: 'error_code', type: 'TEXT', of: ({ next }) => errorOf(next)?.code ?? null },
  { name: 'error_title', type: 'TEXT', of: ({ next }) => shown(errorOf(next)?.title) },
  { name: 'memo', type: 'TEXT', of: ({ runnerState }) => runnerState || null },
  { name: 'reply_status', type: 'BIGINT', of: ({ response }) => response?.status ?? null },
  { name: 'reply_bytes', type: 'BIGINT', of: ({ response }) => response?.body.byteLength ?? null },
  { name: 'reply_cut', type: 'BIGINT', of: ({ response }) => flag(response?.truncated) },
];

function statusOf(settlement: Settlement): Value {
  const { next } = settlement;
  if (next.kind === 'end') return next.status;
  return usedAttempts(settlement) > 0 ? 'waiting' : 'queued';
}

/** If nothing was sent, the attempt's number is given back. */
function usedAttempts({ attempt, entry }: Settlement): number {
  return entry === undefined ? attempt - 1 : entry.n;
}

const errorOf = (next: Next) => (next.kind === 'end' ? next.error : undefined);

const shown = (text: string | undefined): Value => (text === undefined ? null : shownText(text));

const flag = (value: boolean | undefined): Value => (value === undefined ? null : Number(value));

const ATTEMPT: readonly SettledColumn[] = [
  { name: 'attempt_n', type: 'BIGINT', of: ({ entry }) => entry?.n ?? null },
  { name: 'attempt_at', type: 'BIGINT', of: ({ entry }) => entry?.at ?? null },
  { name: 'attempt_ms', type: 'BIGINT', of: ({ entry }) => entry?.ms ?? null },
  { name: 'attempt_status', type: 'BIGINT', of: ({ entry }) => entry?.status ?? null },
  { name: 'attempt_error', type: 'TEXT', of: ({ entry }) => entry?.error ?? null },
  { name: 'attempt_detail', type: 'TEXT', of: ({ entry }) => shown(entry?.detail) },
  { name: 'attempt_wait_ms', type: 'BIGINT', of: ({ entry }) => entry?.waitMs ?? null },
  { name: 'attempt_reason', type: 'TEXT', of: ({ entry }) => entry?.reason ?? null },
  { name: 'attempt_reclaimed', type: 'BIGINT', of: ({ entry }) => flag(entry?.reclaimed) },
  { name: 'attempt_reply_head', type: 'BYTEA', of: ({ entry }) => entry?.replyHead ?? null },
];

const RESPONSE: readonly SettledColumn[] = [
  { name: 'response_status', type: 'BIGINT', of: ({ response }) => response?.status ?? null },
  { name: 'response_status_text', type: 'TEXT', of: ({ response }) => shown(response?.statusText) },
  {
    name: 'response_headers',
    type: 'TEXT',
    of: ({ response }) => (response === undefined ? null : JSON.stringify(response.headers)),
  },
  { name: 'response_body', type: 'BYTEA', of: ({ response }) => response?.body ?? null },
  { name: 'response_truncated', type: 'BIGINT', of: ({ response }) => flag(response?.truncated) },
];

const COLUMNS: readonly SettledColumn[] = [...OUTCOME, ...ATTEMPT, ...RESPONSE];
const ATTEMPT_OF_JOB: readonly SettledColumn[] = [JOB_ID, ...ATTEMPT];
const RESPONSE_OF_JOB: readonly SettledColumn[] = [JOB_ID, ...RESPONSE];

/** SQL for a column of a settlement. */
type ValueOf = (column: string) => string;

/** The fence is in `which`. A request has an owner only while it is running. Without a new response, the one that is stored stays. */
const update = (of: ValueOf, which: string) => `UPDATE breakwater_job AS job
  SET status = ${of('status')}, attempt = ${of('attempt')}, counted = job.counted * ${of('factor')} + ${of('counts')},
    wake_at = ${of('wake_at')}, due_at = coalesce(${of('wake_at')}, job.due_at),
    set_at = CASE WHEN ${of('wake_at')} IS NULL THEN job.set_at ELSE ${of('now')} END,
    reason = ${of('reason')}, owner = NULL, memo = coalesce(${of('memo')}, job.memo),
    finished_at = ${of('finished_at')}, purge_at = ${of('purge_at')},
    error_code = ${of('error_code')}, error_title = ${of('error_title')},
    response_status = coalesce(${of('reply_status')}, job.response_status),
    response_bytes = coalesce(${of('reply_bytes')}, job.response_bytes),
    response_truncated = coalesce(${of('reply_cut')}, job.response_truncated)
  ${which}`;

const FENCE: (of: ValueOf) => string = (of) =>
  `job.id = ${of('job_id')} AND job.owner = ${of('owner')} AND job.attempt = ${of('held')}`;

/** Inserts columns whose names begin with the name of the table. A row that exists is replaced. */
function insert(
  table: 'attempt' | 'response',
  columns: readonly SettledColumn[],
  { key, source }: { key: string; source: (columns: readonly string[]) => string },
): string {
  const theirs = columns.map(({ name }) => name);
  const names = theirs.map((column) => column.slice(table.length + 1));
  const replaced = names.filter((column) => !key.split(', ').includes(column));
  return `INSERT INTO breakwater_${table} (seq, ${names.join(', ')}) ${source(theirs)}
    ON CONFLICT (${key}) DO UPDATE SET ${replaced.map((column) => `${column} = excluded.${column}`).join(', ')}`;
}

const ATTEMPT_KEY = 'seq, n';
const RESPONSE_KEY = 'seq';

/*
 * SQLite: one settlement, whose values are parameters. UPDATE FROM, RETURNING and INSERT SELECT would need temporary tables, which
 * cost half as much as all the rest.
 */

const parameterOf: ValueOf = (column) => `$${OUTCOME.findIndex(({ name }) => name === column) + 1}`;
const UPDATE = update(parameterOf, `WHERE ${FENCE(parameterOf)}`);
const values = (columns: readonly string[]) =>
  `VALUES ((SELECT seq FROM breakwater_job WHERE id = $1), ${columns.map((_, i) => `$${i + 2}`).join(', ')})`;
const INSERT_ATTEMPT = insert('attempt', ATTEMPT, { key: ATTEMPT_KEY, source: values });
const INSERT_RESPONSE = insert('response', RESPONSE, { key: RESPONSE_KEY, source: values });

/* PostgreSQL: all in one statement, which is a transaction by itself. */

const columnOf: ValueOf = (column) => `settled.${column}`;
const held = (columns: readonly string[]) =>
  `SELECT seq, ${columns.join(', ')} FROM held WHERE ${columns[0]} IS NOT NULL`;
// The index of the ids is the only way to the rows, also for a plan that was made while the table was empty.
const ALL = `WITH held AS (${update(
  columnOf,
  `FROM ${tableOf('settled', COLUMNS)}
    WHERE job.id = ANY (CAST($1 AS TEXT[])) AND ${FENCE(columnOf)} RETURNING job.seq, settled.*`,
)}),
  attempts AS (${insert('attempt', ATTEMPT, { key: ATTEMPT_KEY, source: held })}),
  responses AS (${insert('response', RESPONSE, { key: RESPONSE_KEY, source: held })})
  SELECT job_id AS id, held AS attempt FROM held`;

const LATER = 'due_at > $2 AND due_at > coalesce(set_at, created_at)';

/**
 * Wakes the first request that waits for its turn in the same queue, if no other request of the queue is active. The
 * conditions use an index, so the length of the queue does not matter. A due time counts only if it was in the future when
 * it was set. Otherwise, a clock that was set back would delay requests.
 */
export function wakeNext(id: string, now: number): Statement {
  const queue =
    'order_queue = (SELECT order_queue FROM breakwater_job WHERE id = $1) AND wake_at IS NOT NULL';
  const none = (reason: string) => `NOT EXISTS (SELECT 1 FROM breakwater_job WHERE ${queue} AND ${reason})`;
  return {
    sql: `UPDATE breakwater_job
      SET wake_at = CASE WHEN ${LATER} THEN due_at ELSE $2 END,
        due_at = CASE WHEN ${LATER} OR due_at < $2 THEN due_at ELSE $2 END,
        set_at = CASE WHEN ${LATER} THEN set_at ELSE $2 END,
        reason = CASE WHEN ${LATER} THEN 'not_before' END
      WHERE seq = (SELECT min(seq) FROM breakwater_job WHERE ${queue} AND reason = 'key')
        AND ${none('reason IS NULL')} AND ${none(`reason < 'key'`)} AND ${none(`reason > 'key'`)}`,
    params: [id, now],
  };
}
