import type { Statement } from './db.ts';
import type { Dialect } from './dialect.ts';
import { PARKED } from './insert.ts';

/** Clocks of replicas may differ by this much without having been set. */
const CLOCKS_DIFFER_MS = 5_000;

/**
 * After the clock was set back, waits chosen by the old clock would last too long. Each such wait starts again now,
 * at its full length. A start time named by a client (`not_before`) and the deadline of a request that waits for its
 * key stay. Locked rows are skipped, because another replica is giving them a new time.
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
