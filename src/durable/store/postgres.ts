import { type ClientBase, Pool, type PoolClient, types } from 'pg';
import { realTime } from '../../runtime/clock.ts';
import { type Db, type DbOptions, type Row, type Statement, StoreError } from './db.ts';
import { isForgotten, isSerializationFailure, isStale, storeErrorOf } from './postgres-errors.ts';

/** Maximum number of connections. PostgreSQL's default limit is 100 for all clients. */
const CONNECTIONS = 10;

/** Maximum wait for a free or new connection. */
const CONNECT_MS = 5_000;

/** A query that takes longer is taken for a lost connection. */
const QUERY_MS = 30_000;

/**
 * Maximum wait for a lock, such as one that a person's open transaction holds. Shorter than the part of a lease that
 * is left for storing a result, so that results which share a statement with a locked one are stored in time.
 */
const LOCK_MS = 5_000;

/** Maximum number of tries for a transaction that fails by a conflict with another one. */
const TRIES = 5;

/** The same for one whose connection has lost its statements, which all connections may have. */
const FORGOTTEN_TRIES: number = CONNECTIONS + 1;

/** pg returns 64-bit integers as text. The integers of the store are within ±2^53. */
const INT8 = 20;
const PARSERS = {
  getTypeParser: ((oid: number, format: 'text') =>
    oid === INT8 ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
};

/**
 * `synchronous_commit = off` could lose acknowledged requests, so it is raised to `on`; stricter values stay. The
 * timeouts release the locks of a replica that hangs or lost its network. A plan of a named statement may be older than most
 * rows of its tables, so only plans by index are allowed: they stay good when an empty table grows. Without a plan by index, the cost
 * counts as very high, and PostgreSQL would compile the statement.
 */
const SETTINGS = `SELECT
  CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END,
  set_config('statement_timeout', '${QUERY_MS}', false),
  set_config('lock_timeout', '${LOCK_MS}', false),
  set_config('idle_in_transaction_session_timeout', '${QUERY_MS}', false),
  set_config('enable_seqscan', 'off', false), set_config('enable_bitmapscan', 'off', false),
  set_config('jit', 'off', false)`;

/** pg awaits the returned promise, although its types do not say so. */
function prepare(client: ClientBase): unknown {
  // The user of a connection learns of its end from the query. Without a listener, the event would end the process.
  client.on('error', () => undefined);
  return client.query(SETTINGS);
}

/** Opens a pool of connections, configured by the URL. It connects at the first query. */
export function openPostgres(url: string, options: DbOptions = {}): Db {
  const name = nameOf(url);
  try {
    return new PostgresDb(poolOf(url), name, options);
  } catch (error) {
    throw storeErrorOf(error, name);
  }
}

function poolOf(url: string): Pool {
  const pool = new Pool({
    connectionString: url,
    application_name: 'breakwater',
    max: CONNECTIONS,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: QUERY_MS,
    keepAlive: true,
    pipeline: true,
    types: PARSERS,
    onConnect: prepare,
  });
  // An idle connection ended: the pool has removed it, and the next query opens another.
  pool.on('error', () => undefined);
  return pool;
}

/** Host and database, without user and password. */
function nameOf(url: string): string {
  const parsed = URL.parse(url);
  return parsed === null ? 'postgres' : `postgres://${parsed.host}${parsed.pathname}`;
}

class PostgresDb implements Db {
  readonly dialect = 'postgres';
  readonly #pool: Pool;
  readonly #name: string;
  readonly #onCommit: DbOptions['onCommit'];
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(pool: Pool, name: string, options: DbOptions) {
    this.#pool = pool;
    this.#name = name;
    this.#onCommit = options.onCommit;
  }

  batch(statements: readonly Statement[]): Promise<readonly (readonly Row[])[]> {
    if (this.#closing !== undefined)
      return Promise.reject(new StoreError('closed', `durable store ${this.#name}: closed`));
    const batch = this.#tried(statements);
    this.#running.add(batch);
    void batch.catch(() => undefined).finally(() => this.#running.delete(batch));
    return batch;
  }

  async #tried(statements: readonly Statement[]): Promise<readonly (readonly Row[])[]> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#once(statements);
      } catch (error) {
        if (tries >= mostTries(error)) throw storeErrorOf(error, this.#name);
      }
    }
  }

  backup(): Promise<void> {
    const message = `durable store ${this.#name}: back up PostgreSQL with its own tools (pg_dump)`;
    return Promise.reject(new StoreError('failed', message));
  }

  bytes(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  close(): Promise<void> {
    // The pool does not wait for queued requests for a connection.
    return (this.#closing ??= Promise.allSettled(this.#running).then(() => this.#pool.end()));
  }

  async #once(statements: readonly Statement[]): Promise<readonly (readonly Row[])[]> {
    const begunAt = realTime();
    const client = await this.#pool.connect();
    let lost = true;
    try {
      const rows = await this.#transaction(client, statements);
      lost = false;
      this.#onCommit?.(realTime() - begunAt, 1);
      return rows;
    } catch (error) {
      lost = isStale(error) || (await cannotRollBack(client));
      throw error;
    } finally {
      client.release(lost);
    }
  }

  async #transaction(client: PoolClient, statements: readonly Statement[]): Promise<Row[][]> {
    const [first] = statements;
    // A single statement is a transaction by itself, and a failed precondition has changed nothing.
    if (first !== undefined && statements.length === 1) return [await rowsOf(client, first)];
    await client.query('BEGIN');
    // All are sent at once, because each round trip counts more than the work of a statement.
    const sent = await Promise.allSettled(statements.map((statement) => rowsOf(client, statement)));
    const rows: Row[][] = statements.map(() => []);
    for (const [i, result] of sent.entries()) {
      if (result.status === 'rejected') throw result.reason;
      const found = (rows[i] = result.value);
      if (statements[i]?.precondition !== true || found.length > 0) continue;
      // Later statements ran without their precondition. Whatever they did or met is undone.
      await client.query('ROLLBACK');
      return rows;
    }
    try {
      await client.query('COMMIT');
    } catch (error) {
      throw storeErrorOf(
        error,
        this.#name,
        '; this happened during COMMIT, so the transaction may be committed',
      );
    }
    return rows;
  }
}

async function rowsOf(client: PoolClient, { name, sql, params }: Statement): Promise<Row[]> {
  const { rows } = await client.query<Row>({
    ...(name !== undefined && { name }),
    text: sql,
    values: [...params],
  });
  return rows;
}

/** Nothing was stored in these cases. */
function mostTries(error: unknown): number {
  if (isForgotten(error)) return FORGOTTEN_TRIES;
  return isSerializationFailure(error) ? TRIES : 1;
}

async function cannotRollBack(client: PoolClient): Promise<boolean> {
  try {
    await client.query('ROLLBACK');
    return false;
  } catch {
    return true;
  }
}
