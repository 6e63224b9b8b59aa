import type { Statement } from './db.ts';
import type { Dialect } from './dialect.ts';

/** A request that was forgotten is still known by its id for this long: "gone" says more than "unknown". */
const GONE_RETENTION_MS = 24 * 3_600_000;

/** The last slot of each schedule stays for ever; one that is yet to come, by a clock that was ahead, is not the last. */
const SLOT_RETENTION_MS = 30 * 24 * 3_600_000;

/** Pages given back to the file system at a time. */
const VACUUM_PAGES = 512;

/**
 * First what is told to nobody any more (bodies, attempts) goes, then, a day later, the row itself; the first two statements
 * give those that went. Rows are marked within the transaction, so that one revived meanwhile keeps its body: marking waits for who changes the row, and finds it live.
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
