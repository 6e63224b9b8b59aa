import type { Statement } from './db.ts';
import type { Store } from './store.ts';

/**
 * Due request n of m moves to `until + n/m · spread`, so the order stays. They are counted first, because returning
 * ten thousand rows would block the event loop. Rows that another replica claimed or ended are skipped. That
 * condition is written so that SQLite does not use an index for it.
 */
export function moveBatch({
  route,
  until,
  now,
  spreadMs,
  reason,
}: Parameters<Store['moveDue']>[0]): Statement[] {
  const due = `route = $1 AND status IN ('queued', 'waiting') AND wake_at < $2 AND reason IS DISTINCT FROM 'key'`;
  return [
    { sql: `SELECT count(*) AS count FROM breakwater_job WHERE ${due}`, params: [route, until] },
    {
      sql: `UPDATE breakwater_job
        SET wake_at = $2 + (CAST($3 AS BIGINT) * moved.n) / moved.m,
          due_at = $2 + (CAST($3 AS BIGINT) * moved.n) / moved.m, reason = $4, set_at = $5
        FROM (
          SELECT seq, row_number() OVER (ORDER BY wake_at, seq) - 1 AS n, count(*) OVER () AS m
          FROM breakwater_job WHERE ${due}) AS moved
        WHERE breakwater_job.seq = moved.seq AND status <> 'running' AND NOT (wake_at >= $2)`,
      params: [route, until, spreadMs, reason, now],
    },
  ];
}

export function pauseBatch(route: string, now: number): Statement[] {
  const sql = 'INSERT INTO breakwater_paused (route, at) VALUES ($1, $2) ON CONFLICT DO NOTHING';
  return [{ sql, params: [route, now] }];
}

/**
 * The paused row is deleted first: a concurrent claim that parks requests holds a lock on it, so those are visible
 * here. Parked requests were due, so a later due time comes from a clock that was set back since.
 */
export function resumeBatch(route: string, now: number): Statement[] {
  return [
    { sql: 'DELETE FROM breakwater_paused WHERE route = $1', params: [route] },
    {
      sql: `UPDATE breakwater_job
        SET wake_at = $2, due_at = CASE WHEN due_at > $2 THEN $2 ELSE due_at END, set_at = $2, reason = NULL
        WHERE route = $1 AND status IN ('queued', 'waiting') AND reason = 'paused'`,
      params: [route, now],
    },
  ];
}

export const PAUSED: Statement = { sql: 'SELECT route FROM breakwater_paused ORDER BY route', params: [] };
