import type { Statement } from './db.ts';
import type { Dialect } from './dialect.ts';

/** A deleted request is still known by its id for this long, so that the API can answer 410 instead of 404. */
const GONE_RETENTION_MS = 24 * 3_600_000;

/** The last slot of each schedule is always retained. A future slot does not count as the last. */
const SLOT_RETENTION_MS = 30 * 24 * 3_600_000;

/** Pages returned to the file system at a time. */
const VACUUM_PAGES = 512;

/**
 * Deletes bodies and attempts first, and the row itself a day later. The first two statements return the affected
 * rows. Rows are marked within the transaction: marking waits for a concurrent retry and then skips the request,
 * which keeps its body.
 */
export function sweepBatch(now: number, limit: number, dialect: Dialect): Statement[] {
  const marked = 'WHERE seq IN (SELECT seq FROM breakwater_job WHERE erased = 2 AND purge_at IS NOT NULL)';
  const outlived = (erased: number) => `WITH outlived AS MATERIALIZED (SELECT seq FROM breakwater_job
      WHERE erased = ${erased} AND purge_at <= $1 ORDER BY purge_at LIMIT $2 ${dialect.skipLocked})`;
  const those = 'WHERE seq IN (SELECT seq FROM outlived)';
  return [
    {
      sql: `${outlived(1)} DELETE FROM breakwater_job ${those} RETURNING seq`,
      params: [now - GONE_RETENTION_MS, limit],
    },
    {
      sql: `${outlived(0)} UPDATE breakwater_job SET erased = 2, memo = '' ${those} RETURNING seq`,
      params: [now, limit],
    },
    ...['request', 'response', 'attempt', 'label'].map((table) => ({
      sql: `DELETE FROM breakwater_${table} ${marked}`,
      params: [],
    })),
    {
      sql: 'UPDATE breakwater_job SET erased = 1 WHERE erased = 2 AND purge_at IS NOT NULL',
      params: [],
    },
    {
      sql: `DELETE FROM breakwater_slot WHERE slot_at <= $1 AND slot_at < (
        SELECT max(later.slot_at) FROM breakwater_slot AS later
        WHERE later.schedule = breakwater_slot.schedule AND later.slot_at <= $2)`,
      params: [now - SLOT_RETENTION_MS, now],
    },
    ...dialect.giveBack(VACUUM_PAGES),
  ];
}
