import type { Statement, Value } from './db.ts';
import { type Column, type Dialect, nameOf, POSTGRES, SQLITE } from './dialect.ts';
import { insertJob } from './insert.ts';
import { shownText } from './storable.ts';
import type { Next, Settlement } from './store.ts';

/** Stores one settlement and what follows from it. The precondition is the fence. */
export function settleBatch(settlement: Settlement, dialect: Dialect): Statement[] {
  const { id, next, now, callbacks = [] } = settlement;
  const wakes = next.kind === 'end' && settlement.ordered !== false;
  const [update, ...inserts] = settleAll([settlement], dialect);
  return [
    ...(wakes ? dialect.lockOrderOf(id) : []),
    { ...update, precondition: true },
    ...inserts,
    ...(wakes ? [wakeNext(id, now)] : []),
    ...callbacks.flatMap((job) => insertJob(job, dialect)),
  ];
}

/** Whether nothing else is stored with it, so that it can share its statements with others. */
export function isShareable({ next, ordered, callbacks = [] }: Settlement): boolean {
  return callbacks.length === 0 && (next.kind === 'wait' || ordered === false);
}

/**
 * Stores settlements, at most `dialect.rows` of them. The first statement returns the ids that passed the fence: the
 * request is running, under this owner, at this attempt.
 */
export function settleAll(
  settlements: readonly Settlement[],
  dialect: Dialect,
): [first: Statement, ...rest: Statement[]] {
  if (dialect.writesInWith)
    return [
      { sql: ALL, params: dialect.params(settlements.map((one) => PARTS.flatMap((part) => part.of(one)))) },
    ];
  const params = (part: Part, one: Settlement) => [one.id, ...part.of(one)];
  return [
    { sql: UPDATE, params: dialect.params(settlements.map((one) => OUTCOME.of(one))) },
    ...settlements.flatMap((one) => [
      ...(one.entry === undefined ? [] : [{ sql: INSERT_ATTEMPT, params: params(ATTEMPT, one) }]),
      ...(one.response === undefined ? [] : [{ sql: INSERT_RESPONSE, params: params(RESPONSE, one) }]),
    ]),
  ];
}

/** Columns of the table `settled`, which has one row per settlement, and their values. */
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

/** Without a new response, the one that is stored stays. */
const updateFrom = (settled: string, returning: string) => `UPDATE breakwater_job AS job
  SET status = settled.status, attempt = settled.attempt, counted = job.counted * settled.factor + settled.counts,
    wake_at = settled.wake_at, due_at = coalesce(settled.wake_at, job.due_at),
    set_at = CASE WHEN settled.wake_at IS NULL THEN job.set_at ELSE settled.now END,
    reason = settled.reason, owner = NULL, memo = coalesce(settled.memo, job.memo),
    finished_at = settled.finished_at, purge_at = settled.purge_at,
    error_code = settled.error_code, error_title = settled.error_title,
    response_status = coalesce(settled.reply_status, job.response_status),
    response_bytes = coalesce(settled.reply_bytes, job.response_bytes),
    response_truncated = coalesce(settled.reply_cut, job.response_truncated)
  FROM ${settled}
  WHERE job.id = settled.job_id AND job.owner = settled.owner AND job.attempt = settled.held AND job.status = 'running'
  RETURNING ${returning}`;

/** Inserts the columns of a part, whose names begin with the name of the table. A row that exists is replaced. */
function insertFrom(settled: string, table: 'attempt' | 'response', { columns }: Part, key: string): string {
  const theirs = columns.map(nameOf);
  const names = theirs.map((column) => column.slice(table.length + 1));
  const replaced = names.filter((column) => !key.split(', ').includes(column));
  return `INSERT INTO breakwater_${table} (seq, ${names.join(', ')})
    SELECT seq, ${theirs.join(', ')} FROM ${settled} WHERE ${theirs[0]} IS NOT NULL
    ON CONFLICT (${key}) DO UPDATE SET ${replaced.map((column) => `${column} = excluded.${column}`).join(', ')}`;
}

const attemptsFrom = (settled: string) => insertFrom(settled, 'attempt', ATTEMPT, 'seq, n');
const responsesFrom = (settled: string) => insertFrom(settled, 'response', RESPONSE, 'seq');

const UPDATE = updateFrom(SQLITE.table('settled', OUTCOME.columns), 'id');
const oneOf = ({ columns }: Part) =>
  `(SELECT breakwater_job.seq, settled.* FROM ${SQLITE.table('settled', ['job_id TEXT', ...columns])}
    JOIN breakwater_job ON id = job_id)`;
const INSERT_ATTEMPT = attemptsFrom(oneOf(ATTEMPT));
const INSERT_RESPONSE = responsesFrom(oneOf(RESPONSE));

/** All in one statement, which is a transaction by itself. */
const ALL = `WITH held AS (${updateFrom(
  POSTGRES.table(
    'settled',
    PARTS.flatMap(({ columns }) => columns),
  ),
  'job.seq, settled.*',
)}),
  attempts AS (${attemptsFrom('held')}),
  responses AS (${responsesFrom('held')})
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
