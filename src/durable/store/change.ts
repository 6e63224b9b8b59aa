import type { Statement } from './db.ts';
import type { Dialect } from './dialect.ts';
import { wakeNext } from './settle.ts';

/*
 * Statements for cancel, erase and retry. Their precondition fails if the status of the request does not allow the change.
 */

const CANCEL = `UPDATE breakwater_job
  SET status = 'cancelled', error_code = 'cancelled', error_title = 'cancelled on request',
    finished_at = $2, purge_at = $3, wake_at = NULL, reason = NULL
  WHERE id = $1 AND status IN ('queued', 'waiting') RETURNING *`;

export function cancelBatch(id: string, now: number, purgeAt: number, dialect: Dialect): Statement[] {
  return [
    ...dialect.lockOrderOf(id),
    { sql: CANCEL, params: [id, now, purgeAt], precondition: true },
    wakeNext(id, now),
  ];
}

const ERASE = `UPDATE breakwater_job
  SET erased = 1, memo = '', wake_at = NULL, reason = NULL,
    error_code = CASE WHEN finished_at IS NULL THEN 'cancelled' ELSE error_code END,
    error_title = CASE WHEN finished_at IS NULL THEN 'cancelled on request' ELSE error_title END,
    status = CASE WHEN finished_at IS NULL THEN 'cancelled' ELSE status END,
    finished_at = coalesce(finished_at, $2), purge_at = coalesce(purge_at, $3)
  WHERE id = $1 AND status <> 'running' RETURNING *`;

export function eraseBatch(id: string, now: number, purgeAt: number, dialect: Dialect): Statement[] {
  const owned = 'WHERE seq = (SELECT seq FROM breakwater_job WHERE id = $1)';
  return [
    ...dialect.lockOrderOf(id),
    { sql: ERASE, params: [id, now, purgeAt], precondition: true },
    { sql: `DELETE FROM breakwater_request ${owned}`, params: [id] },
    { sql: `DELETE FROM breakwater_response ${owned}`, params: [id] },
    { sql: `UPDATE breakwater_attempt SET reply_head = NULL, detail = NULL ${owned}`, params: [id] },
    wakeNext(id, now),
  ];
}

/** While the request waits for its turn in a key's order, only `due_at` changes. */
const SEND_NOW = `UPDATE breakwater_job
  SET due_at = $2, set_at = $2, wake_at = CASE WHEN reason = 'key' THEN wake_at ELSE $2 END,
    reason = CASE WHEN reason = 'key' THEN reason END
  WHERE id = $1 AND status IN ('queued', 'waiting') RETURNING *`;

export function sendNowBatch(id: string, now: number): Statement[] {
  return [{ sql: SEND_NOW, params: [id, now], precondition: true }];
}

/** While its key is busy, the request waits for its turn, before requests that were accepted later. */
const RESTART = `UPDATE breakwater_job
  SET status = 'queued', counted = 0, due_at = $2, set_at = $2, deadline_at = $3,
    wake_at = CASE WHEN queue.busy THEN CAST($3 AS BIGINT) ELSE CAST($2 AS BIGINT) END,
    reason = CASE WHEN queue.busy THEN 'key' END,
    started_at = NULL, finished_at = NULL, purge_at = NULL, error_code = NULL, error_title = NULL,
    response_status = NULL, response_bytes = NULL, response_truncated = NULL
  FROM (SELECT EXISTS (SELECT 1 FROM breakwater_job
    WHERE order_queue = (SELECT order_queue FROM breakwater_job WHERE id = $1) AND wake_at IS NOT NULL) AS busy) AS queue
  WHERE id = $1 AND erased = 0 AND (status IN ('failed', 'cancelled') OR (status = 'succeeded' AND $4 = 1))
  RETURNING *`;

export function restartBatch(
  id: string,
  change: { readonly now: number; readonly deadlineAt: number; readonly force: boolean },
  dialect: Dialect,
): Statement[] {
  return [
    ...dialect.lockOrderOf(id),
    { sql: RESTART, params: [id, change.now, change.deadlineAt, change.force ? 1 : 0], precondition: true },
    {
      sql: 'DELETE FROM breakwater_response WHERE seq = (SELECT seq FROM breakwater_job WHERE id = $1)',
      params: [id],
    },
  ];
}
