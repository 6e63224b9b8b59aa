import type { Statement } from './db.ts';
import type { Store } from './store.ts';

/**
 * The n-th of m in order of dueness gets `until + n/m · spread`: no herd, and nobody overtakes. Counted beforehand, for
 * ten thousand returned rows would keep the event loop busy. What another replica claimed or ended meanwhile is left alone;
 * that is asked in words that keep SQLite from looking for rows by it, once for each row moved.
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
 * The row's end comes first: a claim that is just putting requests aside holds it, and then these are seen here. They were
 * due when they were put aside. One that is due later now was so by a clock that was set back since.
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
