import { randomBytes } from 'node:crypto';
import { type Db, type Statement, StoreError } from './db.ts';
import { type Dialect, dialectOf } from './dialect.ts';

/*
 * Integers are milliseconds, bytes, counts, or 0 and 1.
 *
 * `wake_at` is when a request may be claimed:
 * - running: the end of its lease, so that the query for due requests finds abandoned ones, too
 * - waiting for its turn in a key's order: its deadline
 * - on a paused route: PARKED
 * - ended: NULL
 *
 * `due_at` is when the request should be sent. `set_at` is the wall clock when both were set: a later clock behind it
 * was set back.
 */

/**
 * Type names that both databases accept: SQLite treats names with INT as integers and leaves blobs unchanged. SERIAL
 * and NUMBER depend on the dialect.
 */
const MIGRATIONS: readonly (readonly string[])[] = [
  [
    `CREATE TABLE breakwater_job (
      seq SERIAL,
      id TEXT NOT NULL UNIQUE,
      kind TEXT NOT NULL,
      route TEXT NOT NULL,
      method TEXT NOT NULL,
      target TEXT NOT NULL,
      bytes BIGINT NOT NULL,
      sha256 TEXT NOT NULL,
      caller TEXT NOT NULL,
      idempotency_key TEXT,
      fingerprint TEXT NOT NULL,
      upstream_key TEXT,
      order_key TEXT,
      labels TEXT NOT NULL,
      callback_url TEXT,
      parent TEXT,
      memo TEXT NOT NULL,
      status TEXT NOT NULL,
      reason TEXT,
      owner TEXT,
      reclaimed BIGINT NOT NULL DEFAULT 0,
      attempt BIGINT NOT NULL DEFAULT 0,
      counted BIGINT NOT NULL DEFAULT 0,
      created_at BIGINT NOT NULL,
      due_at BIGINT NOT NULL,
      deadline_at BIGINT NOT NULL,
      wake_at BIGINT,
      started_at BIGINT,
      finished_at BIGINT,
      purge_at BIGINT,
      error_code TEXT,
      error_title TEXT,
      response_status BIGINT,
      response_bytes BIGINT,
      response_truncated BIGINT,
      erased BIGINT NOT NULL DEFAULT 0
    )`,
    'CREATE INDEX breakwater_job_wake ON breakwater_job (wake_at, seq, route) WHERE wake_at IS NOT NULL',
    'CREATE INDEX breakwater_job_route ON breakwater_job (route, status, wake_at)',
    'CREATE INDEX breakwater_job_purge ON breakwater_job (erased, purge_at) WHERE purge_at IS NOT NULL',
    `CREATE INDEX breakwater_job_order ON breakwater_job (order_key, reason, seq)
      WHERE order_key IS NOT NULL AND wake_at IS NOT NULL`,
    `CREATE UNIQUE INDEX breakwater_job_idempotency ON breakwater_job (caller, route, idempotency_key)
      WHERE idempotency_key IS NOT NULL`,
    `CREATE TABLE breakwater_request (
      seq NUMBER PRIMARY KEY REFERENCES breakwater_job ON DELETE CASCADE,
      headers TEXT NOT NULL,
      body BYTEA NOT NULL
    )`,
    `CREATE TABLE breakwater_response (
      seq NUMBER PRIMARY KEY REFERENCES breakwater_job ON DELETE CASCADE,
      status BIGINT NOT NULL,
      status_text TEXT NOT NULL,
      headers TEXT NOT NULL,
      body BYTEA NOT NULL,
      truncated BIGINT NOT NULL
    )`,
    `CREATE TABLE breakwater_attempt (
      seq BIGINT NOT NULL REFERENCES breakwater_job ON DELETE CASCADE,
      n BIGINT NOT NULL,
      at BIGINT NOT NULL,
      ms BIGINT NOT NULL,
      status BIGINT,
      error TEXT,
      detail TEXT,
      wait_ms BIGINT,
      reason TEXT,
      reclaimed BIGINT NOT NULL,
      reply_head BYTEA,
      PRIMARY KEY (seq, n)
    )`,
    `CREATE TABLE breakwater_label (
      label TEXT NOT NULL,
      seq BIGINT NOT NULL REFERENCES breakwater_job ON DELETE CASCADE,
      PRIMARY KEY (label, seq)
    )`,
    'CREATE INDEX breakwater_label_seq ON breakwater_label (seq)',
    'CREATE TABLE breakwater_fact (name TEXT PRIMARY KEY, value TEXT NOT NULL)',
    'CREATE TABLE breakwater_paused (route TEXT PRIMARY KEY, at BIGINT NOT NULL)',
    `CREATE TABLE breakwater_slot (
      schedule TEXT NOT NULL,
      slot_at BIGINT NOT NULL,
      PRIMARY KEY (schedule, slot_at)
    )`,
  ],
  // Finds callbacks by request, and runs by schedule.
  ['CREATE INDEX breakwater_job_parent ON breakwater_job (parent, seq) WHERE parent IS NOT NULL'],
  // An order key belongs to one caller and one route (`queueOf`). One old queue may become several: the first request
  // of each idle queue is woken.
  [
    'ALTER TABLE breakwater_job ADD COLUMN order_queue TEXT',
    'DROP INDEX breakwater_job_order',
    `UPDATE breakwater_job
      SET order_queue = CASE WHEN kind = 'scheduled' THEN 'schedule:' || parent ELSE caller || '\n' || route || '\n' || order_key END
      WHERE order_key IS NOT NULL`,
    `CREATE INDEX breakwater_job_order ON breakwater_job (order_queue, reason, seq)
      WHERE order_queue IS NOT NULL AND wake_at IS NOT NULL`,
    `UPDATE breakwater_job SET wake_at = due_at, reason = CASE WHEN due_at > created_at THEN 'not_before' END
      WHERE reason = 'key' AND wake_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM breakwater_job AS other
        WHERE other.order_queue = breakwater_job.order_queue AND other.wake_at IS NOT NULL
          AND (other.reason IS NULL OR other.reason <> 'key' OR other.seq < breakwater_job.seq))`,
  ],
  ['ALTER TABLE breakwater_job ADD COLUMN set_at BIGINT'],
  [
    'ALTER TABLE breakwater_job ADD COLUMN request_id TEXT',
    'ALTER TABLE breakwater_job ADD COLUMN traceparent TEXT',
    'CREATE INDEX breakwater_job_request ON breakwater_job (request_id, seq) WHERE request_id IS NOT NULL',
  ],
  [
    'ALTER TABLE breakwater_job ADD COLUMN client TEXT',
    'ALTER TABLE breakwater_job ADD COLUMN priority TEXT',
  ],
  // Each tenant is an account of its own at the upstream, so a key is unique for each.
  [
    `ALTER TABLE breakwater_job ADD COLUMN tenant TEXT NOT NULL DEFAULT ''`,
    'DROP INDEX breakwater_job_idempotency',
    `CREATE UNIQUE INDEX breakwater_job_idempotency ON breakwater_job (caller, route, tenant, idempotency_key)
      WHERE idempotency_key IS NOT NULL`,
  ],
];

/** The schema version that this code reads and writes. */
export const SCHEMA_VERSION: number = MIGRATIONS.length;

/** Migrates the schema to this version, safely with concurrent processes. Rejects if the schema is newer. */
export async function migrate(db: Db): Promise<void> {
  const dialect = dialectOf(db);
  let version = await versionOf(db, dialect);
  while (version < SCHEMA_VERSION) {
    await db.batch([...dialect.lock('schema'), ...stepsFrom(version, dialect)]);
    // Another process, even an older one, may have been faster.
    version = await versionOf(db, dialect);
  }
  if (version > SCHEMA_VERSION)
    throw new StoreError(
      'failed',
      `the durable store has schema ${version}, made by a newer Breakwater; this version supports schemas up to ${SCHEMA_VERSION}`,
    );
  await db.batch([secret()]);
}

/** 0 if the database is new. */
async function versionOf(db: Db, dialect: Dialect): Promise<number> {
  const results = await db.batch([
    ...dialect.lock('schema'),
    plain('CREATE TABLE IF NOT EXISTS breakwater_schema (version BIGINT PRIMARY KEY)'),
    plain('SELECT max(version) AS version FROM breakwater_schema'),
  ]);
  return Number(results.at(-1)?.[0]?.['version'] ?? 0);
}

/** All migrations after `version`. In one transaction, they need one fsync. */
function stepsFrom(version: number, dialect: Dialect): Statement[] {
  return MIGRATIONS.slice(version).flatMap((migration, i) => [
    step(version + i + 1),
    ...migration.map((sql) => plain(inWordsOf(dialect, sql))),
  ]);
}

/** The first process creates the secret. */
function secret(): Statement {
  const sql = `INSERT INTO breakwater_fact (name, value) VALUES ('secret', $1) ON CONFLICT DO NOTHING`;
  return { sql, params: [randomBytes(32).toString('hex')] };
}

/** A precondition that lets the statements of a migration run exactly once. */
function step(version: number): Statement {
  const sql = `INSERT INTO breakwater_schema (version)
    SELECT CAST($1 AS BIGINT) WHERE NOT EXISTS (SELECT 1 FROM breakwater_schema WHERE version >= $1)
    RETURNING version`;
  return { sql, params: [version], precondition: true };
}

function inWordsOf({ serial, number }: Dialect, sql: string): string {
  return sql.replace('SERIAL', serial).replace('NUMBER', number);
}

function plain(sql: string): Statement {
  return { sql, params: [] };
}
