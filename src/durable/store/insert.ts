import type { NewJob } from '../job.ts';
import type { Statement } from './db.ts';
import type { Dialect } from './dialect.ts';

/** `wake_at` of a request that waits for an event, not for a time. */
export const PARKED: number = Number.MAX_SAFE_INTEGER;

/** Minimum time for which an Idempotency-Key identifies its request, even if the retention is shorter. */
const MIN_KEY_RETENTION_MS = 24 * 3_600_000;

/**
 * A request that waits for its turn in a key's order sleeps until its deadline, when it must end. The end of the
 * request before it wakes it earlier.
 */
const INSERT = `INSERT INTO breakwater_job (
    id, kind, route, method, target, bytes, sha256, caller, idempotency_key, fingerprint, upstream_key, order_key,
    labels, callback_url, parent, memo, status, reason, created_at, due_at, deadline_at, wake_at, set_at,
    request_id, traceparent, client, priority, tenant, order_queue)
  SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS BIGINT),
    CAST($7 AS TEXT), CAST($8 AS TEXT), CAST($9 AS TEXT), CAST($10 AS TEXT), CAST($11 AS TEXT), CAST($12 AS TEXT),
    CAST($13 AS TEXT), CAST($14 AS TEXT), CAST($15 AS TEXT), CAST($16 AS TEXT), 'queued',
    CASE WHEN queue.busy THEN 'key' WHEN CAST($18 AS BIGINT) > CAST($17 AS BIGINT) THEN 'not_before' END,
    CAST($17 AS BIGINT), CAST($18 AS BIGINT), CAST($19 AS BIGINT),
    CASE WHEN queue.busy THEN CAST($19 AS BIGINT) ELSE CAST($18 AS BIGINT) END, CAST($17 AS BIGINT),
    CAST($20 AS TEXT), CAST($21 AS TEXT), CAST($22 AS TEXT), CAST($23 AS TEXT), CAST($24 AS TEXT), CAST($25 AS TEXT)
  FROM (SELECT EXISTS (SELECT 1 FROM breakwater_job
    WHERE order_queue = CAST($25 AS TEXT) AND wake_at IS NOT NULL) AS busy) AS queue
  WHERE true
  ON CONFLICT DO NOTHING
  RETURNING seq`;

const SEQ = '(SELECT seq FROM breakwater_job WHERE id = $1)';

/**
 * Name of the queue whose requests run one at a time. A client's order key belongs to one caller, route and tenant, and
 * cannot name the queue of a schedule. The parts contain no line break, so it separates them. The migration to schema
 * 3 has the same rule in SQL.
 */
export function queueOf({ kind, caller, route, tenant, orderKey, parent }: NewJob): string | null {
  if (orderKey === null) return null;
  if (kind === 'scheduled') return `schedule:${parent}`;
  return [caller, route, ...(tenant === '' ? [] : [tenant]), orderKey].join('\n');
}

/** Inserts a request. The precondition fails if its Idempotency-Key is in use. */
export function insertJob(job: NewJob, dialect: Dialect): Statement[] {
  const queue = queueOf(job);
  return [
    ...(queue === null ? [] : dialect.lock(`key:${queue}`)),
    { name: 'accept', sql: INSERT, params: [...columns(job), queue], precondition: true },
    {
      name: 'accept_body',
      sql: `INSERT INTO breakwater_request (seq, headers, body) VALUES (${SEQ}, $2, $3)`,
      params: [job.id, JSON.stringify(job.headers), job.body],
    },
    ...[...new Set(job.labels)].map((label) => ({
      sql: `INSERT INTO breakwater_label (seq, label) VALUES (${SEQ}, $2)`,
      params: [job.id, label],
    })),
  ];
}

function columns(job: NewJob): Statement['params'] {
  return [
    job.id,
    job.kind,
    job.route,
    job.method,
    job.target,
    job.body.byteLength,
    job.sha256,
    job.caller,
    job.idempotencyKey,
    job.fingerprint,
    job.upstreamKey,
    job.orderKey,
    JSON.stringify(job.labels),
    job.callbackUrl,
    job.parent,
    job.runnerState,
    job.createdAt,
    job.dueAt,
    job.deadlineAt,
    job.requestId,
    job.traceparent,
    job.client ?? null,
    job.priority ?? null,
    job.tenant,
  ];
}

/** Releases the key of an expired request, then selects the request that holds the key. */
export function keyHolder(job: NewJob): Statement[] {
  if (job.idempotencyKey === null) return [];
  const key = [job.caller, job.route, job.idempotencyKey, job.tenant];
  const named = 'caller = $1 AND route = $2 AND idempotency_key = $3 AND tenant = $4';
  return [
    {
      name: 'release_key',
      sql: `UPDATE breakwater_job SET idempotency_key = NULL
        WHERE ${named} AND purge_at <= $5 AND created_at <= $6`,
      params: [...key, job.createdAt, job.createdAt - MIN_KEY_RETENTION_MS],
    },
    {
      name: 'key_holder',
      sql: `SELECT id, fingerprint FROM breakwater_job WHERE ${named}`,
      params: key,
    },
  ];
}
