import type { AttemptRow, StoredResponse } from '../job.ts';
import type { Statement } from './db.ts';
import type { Dialect } from './dialect.ts';
import { insertJob } from './insert.ts';
import { shownText } from './storable.ts';
import type { Settlement } from './store.ts';

/**
 * Stores an attempt's result, the change of its request and the requests that follow, as one batch. The precondition is the
 * fence: the request must be running, under this owner, at this attempt.
 */
export function settleBatch(settlement: Settlement, dialect: Dialect): Statement[] {
  const { id, entry, response, next, now, callbacks = [] } = settlement;
  const ends = next.kind === 'end';
  return [
    ...(ends ? dialect.lockOrderOf(id) : []),
    jobUpdate(settlement),
    ...(entry === undefined ? [] : [attemptRow(id, entry)]),
    ...(response === undefined ? [] : responseRow(id, response)),
    ...(ends ? [wakeNext(id, now)] : []),
    ...callbacks.flatMap((job) => insertJob(job, dialect)),
  ];
}

const FENCE = `WHERE id = $1 AND owner = $2 AND attempt = $3 AND status = 'running' RETURNING seq`;

/** If nothing was sent, the attempt's number is given back. */
const WAIT = `UPDATE breakwater_job
  SET status = CASE WHEN attempt - $7 > 0 THEN 'waiting' ELSE 'queued' END,
    attempt = attempt - $7, counted = counted * $9 + $6, wake_at = $4, due_at = $4, set_at = $10, reason = $5, owner = NULL,
    memo = coalesce(nullif($8, ''), memo) ${FENCE}`;

const END = `UPDATE breakwater_job
  SET status = $4, finished_at = $5, purge_at = $6, error_code = $7, error_title = $8, counted = counted + $9,
    attempt = attempt - $11, wake_at = NULL, reason = NULL, owner = NULL, memo = coalesce(nullif($10, ''), memo) ${FENCE}`;

function jobUpdate({ id, owner, attempt, now, entry, runnerState = '', next }: Settlement): Statement {
  const fence = [id, owner, attempt];
  const [sent, unused] = entry === undefined ? [0, 1] : [1, attempt - entry.n];
  if (next.kind === 'wait') {
    const countFactor = next.resetsCount === true ? 0 : 1;
    const params = [
      ...fence,
      next.dueAt,
      next.reason,
      Number(next.counts),
      unused,
      runnerState,
      countFactor,
      now,
    ];
    return { sql: WAIT, params, precondition: true };
  }
  const { status, purgeAt, error } = next;
  const why = [error?.code ?? null, error === undefined ? null : shownText(error.title)];
  return {
    sql: END,
    params: [...fence, status, now, purgeAt, ...why, sent, runnerState, unused],
    precondition: true,
  };
}

const SEQ = '(SELECT seq FROM breakwater_job WHERE id = $1)';

function attemptRow(id: string, row: AttemptRow): Statement {
  return {
    sql: `INSERT INTO breakwater_attempt
        (seq, n, at, ms, status, error, detail, wait_ms, reason, reclaimed, reply_head)
      VALUES (${SEQ}, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
      ON CONFLICT (seq, n) DO UPDATE SET at = excluded.at, ms = excluded.ms, status = excluded.status,
        error = excluded.error, detail = excluded.detail, wait_ms = excluded.wait_ms, reason = excluded.reason,
        reclaimed = excluded.reclaimed, reply_head = excluded.reply_head`,
    params: [id, row.n, row.at, row.ms, ...outcomeOf(row)],
  };
}

function outcomeOf(row: AttemptRow): Statement['params'] {
  return [
    row.status ?? null,
    row.error ?? null,
    row.detail === undefined ? null : shownText(row.detail),
    row.waitMs ?? null,
    row.reason ?? null,
    row.reclaimed ? 1 : 0,
    row.replyHead ?? null,
  ];
}

function responseRow(id: string, response: StoredResponse): Statement[] {
  const { status, statusText, headers, body, truncated } = response;
  const cut = truncated ? 1 : 0;
  return [
    {
      sql: `UPDATE breakwater_job
        SET response_status = $2, response_bytes = $3, response_truncated = $4 WHERE id = $1`,
      params: [id, status, body.byteLength, cut],
    },
    {
      sql: `INSERT INTO breakwater_response (seq, status, status_text, headers, body, truncated)
        VALUES (${SEQ}, $2, $3, $4, $5, $6)
        ON CONFLICT (seq) DO UPDATE SET status = excluded.status, status_text = excluded.status_text,
          headers = excluded.headers, body = excluded.body, truncated = excluded.truncated`,
      params: [id, status, shownText(statusText), JSON.stringify(headers), body, cut],
    },
  ];
}

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
