import type { Statement, Value } from './db.ts';
import type { Dialect } from './dialect.ts';
import { insertJob } from './insert.ts';
import { arraysOf, type Column, nameOf, tableOf } from './postgres-arrays.ts';
import { shownText } from './storable.ts';
import type { Next, Settlement } from './store.ts';

/** Stores one settlement and what follows from it. The precondition is the fence. */
export function settleBatch(settlement: Settlement, dialect: Dialect): Statement[] {
  const { id, next, now, callbacks = [] } = settlement;
  const wakes = next.kind === 'end' && settlement.ordered !== false;
  const [outcome, ...inserts] = settleOne(settlement, dialect);
  return [
    ...(wakes ? dialect.lockOrderOf(id) : []),
    { ...outcome, precondition: true },
    ...inserts,
    ...(wakes ? [wakeNext(id, now)] : []),
    ...callbacks.flatMap((job) => insertJob(job, dialect)),
  ];
}

/** Whether nothing else is stored with it, so that it can share its statements with others. */
export function isShareable({ next, ordered, callbacks = [] }: Settlement): boolean {
  return callbacks.length === 0 && (next.kind === 'wait' || ordered === false);
}

/** Stores settlements by one statement of PostgreSQL. It returns the ids and attempts that passed the fence. */
export function settleTogether(settlements: readonly Settlement[]): Statement {
  const rows = settlements.map((one) => PARTS.flatMap((part) => part.of(one)));
  return { name: 'settle', sql: ALL, params: arraysOf(rows, COLUMNS) };
}

/** The first statement has the fence: the request is running, under this owner, at this attempt. */
function settleOne(
  settlement: Settlement,
  { writesInWith }: Dialect,
): [first: Statement, ...rest: Statement[]] {
  if (writesInWith) return [settleTogether([settlement])];
  const { id, entry, response } = settlement;
  const params = (part: Part) => [id, ...part.of(settlement)];
  return [
    { sql: UPDATE, params: OUTCOME.of(settlement) },
    ...(entry === undefined ? [] : [{ sql: INSERT_ATTEMPT, params: params(ATTEMPT) }]),
    ...(response === undefined ? [] : [{ sql: INSERT_RESPONSE, params: params(RESPONSE) }]),
  ];
}

/** Values of a settlement, by the columns of the table `settled`, which has one row per settlement. */
interface Part {
  readonly columns: readonly Column[];
  of(settlement: Settlement): Value[];
}

const OUTCOME: Part = {
  columns: [
    'job_id TEXT',
    'owner TEXT',
    'held BIGINT',
    'now BIGINT',
    'status TEXT',
    'attempt BIGINT',
    'factor BIGINT',
    'counts BIGINT',
    'wake_at BIGINT',
    'reason TEXT',
    'finished_at BIGINT',
    'purge_at BIGINT',
    'error_code TEXT',
    'error_title TEXT',
    'memo TEXT',
    'reply_status BIGINT',
    'reply_bytes BIGINT',
    'reply_cut BIGINT',
  ],
  of({ id, owner, attempt, now, entry, runnerState = '', response, next }) {
    // If nothing was sent, the attempt's number is given back.
    const used = entry === undefined ? attempt - 1 : entry.n;
    return [
      id,
      owner,
      attempt,
      now,
      ...(next.kind === 'wait' ? waitOf(next, used) : endOf(next, { used, now, sent: entry !== undefined })),
      runnerState === '' ? null : runnerState,
      ...(response === undefined
        ? [null, null, null]
        : [response.status, response.body.byteLength, Number(response.truncated)]),
    ];
  },
};

function waitOf({ dueAt, reason, counts, resetsCount = false }: NextOf<'wait'>, used: number): Value[] {
  const status = used > 0 ? 'waiting' : 'queued';
  return [status, used, resetsCount ? 0 : 1, Number(counts), dueAt, reason, null, null, null, null];
}

function endOf(
  { status, purgeAt, error }: NextOf<'end'>,
  { used, now, sent }: { used: number; now: number; sent: boolean },
): Value[] {
  const why = error === undefined ? [null, null] : [error.code, shownText(error.title)];
  return [status, used, 1, Number(sent), null, null, now, purgeAt, ...why];
}

type NextOf<K extends Next['kind']> = Extract<Next, { kind: K }>;

const ATTEMPT: Part = {
  columns: [
    'attempt_n BIGINT',
    'attempt_at BIGINT',
    'attempt_ms BIGINT',
    'attempt_status BIGINT',
    'attempt_error TEXT',
    'attempt_detail TEXT',
    'attempt_wait_ms BIGINT',
    'attempt_reason TEXT',
    'attempt_reclaimed BIGINT',
    'attempt_reply_head BYTEA',
  ],
  of: ({ entry }) =>
    entry === undefined
      ? ATTEMPT.columns.map(() => null)
      : [
          entry.n,
          entry.at,
          entry.ms,
          entry.status ?? null,
          entry.error ?? null,
          entry.detail === undefined ? null : shownText(entry.detail),
          entry.waitMs ?? null,
          entry.reason ?? null,
          Number(entry.reclaimed),
          entry.replyHead ?? null,
        ],
};

const RESPONSE: Part = {
  columns: [
    'response_status BIGINT',
    'response_status_text TEXT',
    'response_headers TEXT',
    'response_body BYTEA',
    'response_truncated BIGINT',
  ],
  of: ({ response }) =>
    response === undefined
      ? RESPONSE.columns.map(() => null)
      : [
          response.status,
          shownText(response.statusText),
          JSON.stringify(response.headers),
          response.body,
          Number(response.truncated),
        ],
};

const PARTS = [OUTCOME, ATTEMPT, RESPONSE] as const;
const COLUMNS = PARTS.flatMap(({ columns }) => columns);

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

/** Inserts the columns of a part, whose names begin with the name of the table. A row that exists is replaced. */
function insert(
  table: 'attempt' | 'response',
  { columns }: Part,
  { key, source }: { key: string; source: (columns: readonly string[]) => string },
): string {
  const theirs = columns.map(nameOf);
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

const parameterOf: ValueOf = (column) => `$${OUTCOME.columns.findIndex((one) => nameOf(one) === column) + 1}`;
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
