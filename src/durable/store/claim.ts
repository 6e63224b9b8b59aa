import type { Statement } from './db.ts';
import type { Dialect } from './dialect.ts';
import { PARKED } from './insert.ts';
import { CLAIMED_COLUMNS } from './rows.ts';
import type { Claim, LostClaims } from './store.ts';

/** Maximum number of requests that one claim parks, because other statements wait for it. */
const PARKED_AT_ONCE = 1_000;

/** The claim is the last statement. */
export function claimBatch(claim: Claim, dialect: Dialect): Statement[] {
  const { sql, params } = claimDue(claim, dialect);
  const park = parkPaused(dialect);
  if (dialect.writesInWith) return [{ name: 'claim', sql: `WITH parked AS (${park}), ${sql}`, params }];
  return [
    { sql: park, params: [null, null, claim.now] },
    { sql: `WITH ${sql}`, params },
  ];
}

/** The moment from which leases run. Undefined: the database's clock. */
const leaseFrom = (param: string, dialect: Dialect): string =>
  `lease AS MATERIALIZED (SELECT coalesce(CAST(${param} AS BIGINT), ${dialect.now}) AS moment)`;

const WITH_REQUEST = `${CLAIMED_COLUMNS.join(', ')},
        (SELECT headers FROM breakwater_request WHERE breakwater_request.seq = breakwater_job.seq) AS headers,
        (SELECT body FROM breakwater_request WHERE breakwater_request.seq = breakwater_job.seq) AS body`;

/** Parks the due requests of paused routes once, so that later claims do not scan them. `$3` is the time. */
function parkPaused(dialect: Dialect): string {
  return `WITH due AS MATERIALIZED (
        SELECT seq FROM breakwater_job
        WHERE status IN ('queued', 'waiting') AND wake_at <= $3 AND reason IS DISTINCT FROM 'key'
          AND ${dialect.isOneOf('route', `SELECT route FROM breakwater_paused ${dialect.share}`)}
        LIMIT ${PARKED_AT_ONCE} ${dialect.skipLocked})
      UPDATE breakwater_job SET wake_at = ${PARKED}, reason = 'paused'
      WHERE ${dialect.isOneOf('seq', 'SELECT seq FROM due')}`;
}

/** Running requests are reclaimed even on a paused route. The route comes first, because it is in the index. */
const GOES_ON = `(route NOT IN (SELECT route FROM breakwater_paused) OR status = 'running')`;

/**
 * Claims due requests, with `wake_at` as the lease. The same query finds requests whose lease ran out, so no
 * heartbeat or leader is needed. Waiting requests are due by the wall clock. Leases run out by the lease clock,
 * except for requests that this process runs. MATERIALIZED keeps PostgreSQL from repeating the selection for each
 * row. SQLite plans a statement again for each value of a bare parameter in LIMIT.
 */
function claimDue(claim: Claim, dialect: Dialect): Statement {
  const { owner, now, leaseNow = null, leaseMs, limit, running = [], reclaims = true, except = [] } = claim;
  return {
    sql: `${leaseFrom('$5', dialect)},
      due AS MATERIALIZED (
        SELECT seq FROM breakwater_job
        WHERE wake_at <= (SELECT CASE WHEN moment > $3 THEN moment ELSE CAST($3 AS BIGINT) END FROM lease)
          AND route NOT IN (${dialect.textsOf('$8')}) AND ${GOES_ON}
          AND CASE WHEN status = 'running'
            THEN CAST($7 AS BIGINT) = 1 AND wake_at <= (SELECT moment FROM lease)
              AND id NOT IN (${dialect.textsOf('$6')})
            ELSE wake_at <= $3 END
        ORDER BY wake_at, seq LIMIT CAST($4 AS BIGINT) ${dialect.skipLocked})
      UPDATE breakwater_job
      SET status = 'running', reason = NULL, owner = $1, attempt = attempt + 1,
        wake_at = (SELECT moment FROM lease) + CAST($2 AS BIGINT),
        reclaimed = CASE WHEN status = 'running' THEN 1 ELSE 0 END,
        started_at = coalesce(started_at, $3)
      WHERE ${dialect.isOneOf('seq', 'SELECT seq FROM due')}
      RETURNING ${WITH_REQUEST}`,
    params: [
      owner,
      leaseMs,
      now,
      limit,
      leaseNow,
      JSON.stringify(running),
      reclaims ? 1 : 0,
      JSON.stringify(except),
    ],
  };
}

/** The bound of `wake_at` selects the index of unfinished requests. */
export function claimedStatement({ owners, leaseNow, leaseMs }: LostClaims, dialect: Dialect): Statement {
  return {
    sql: `WITH ${leaseFrom('$3', dialect)}
      UPDATE breakwater_job SET wake_at = (SELECT moment FROM lease) + CAST($2 AS BIGINT)
      WHERE wake_at < ${PARKED} AND status = 'running' AND owner IN (${dialect.textsOf('$1')})
      RETURNING ${WITH_REQUEST}`,
    params: [JSON.stringify(owners), leaseMs, leaseNow ?? null],
  };
}

export const NEXT_WAKE: Statement = {
  name: 'next_wake',
  sql: `SELECT wake_at FROM breakwater_job
    WHERE wake_at < ${PARKED} AND ${GOES_ON}
    ORDER BY wake_at LIMIT 1`,
  params: [],
};
