import type { Statement } from './db.ts';
import type { Dialect } from './dialect.ts';
import { PARKED } from './insert.ts';

/** Clocks of replicas differ by this much without anybody having set them. */
const CLOCKS_DIFFER_MS = 5_000;

/**
 * The clock was set back: a wait that was chosen by the clock of before would last longer by as much. It keeps its length
 * and begins now. A moment that a client named (`not_before`) stays; so does the deadline for which a request sleeps
 * until its turn in a key comes. Rows that another replica is changing are passed over, because they get a new moment.
 */
export function setBack(now: number, dialect: Dialect): Statement {
  return {
    sql: `WITH early AS MATERIALIZED (
        SELECT seq FROM breakwater_job
        WHERE status IN ('queued', 'waiting') AND wake_at < ${PARKED} AND set_at > CAST($1 AS BIGINT) + ${CLOCKS_DIFFER_MS}
          AND (reason IS NULL OR reason NOT IN ('not_before', 'key')) ${dialect.skipLocked})
      UPDATE breakwater_job
      SET wake_at = wake_at - set_at + CAST($1 AS BIGINT), due_at = due_at - set_at + CAST($1 AS BIGINT),
        set_at = CAST($1 AS BIGINT)
      WHERE seq IN (SELECT seq FROM early) RETURNING seq`,
    params: [now],
  };
}
