import { createHash } from 'node:crypto';
import { Socket } from 'node:net';
import { Client } from 'pg';
import { type EngineOptions, type Fact, type FleetEngine, type Muster, numberOf } from './engine.ts';
import type { LeaseReply, LeaseRequest } from './ledger.ts';
import { unlessAborted } from './opening.ts';
import { SCHEMA, SWEEP, VERSION } from './postgres-schema.ts';

/** The state of a window is not worth waiting for the disk. A crash of the server is noticed by its version. */
const SETTINGS = `SET synchronous_commit = off`;

const LEASE = `SELECT * FROM breakwater_fleet_lease${VERSION}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`;
const MUSTER = `SELECT * FROM breakwater_fleet_muster${VERSION}($1, $2, $3, $4)`;
const READ = `SELECT * FROM breakwater_fleet_read${VERSION}($1, $2)`;
const WRITE = `SELECT breakwater_fleet_write${VERSION}($1, $2, $3, $4)`;
const CLAIM = `SELECT * FROM breakwater_fleet_claim${VERSION}($1, $2, $3, $4)`;
const EXCHANGE = `SELECT breakwater_fleet_exchange${VERSION}($1, $2, $3, $4, $5) AS done`;
const LEAVE = `DELETE FROM breakwater_fleet_replica WHERE fleet = $1 AND replica = $2`;

interface LeaseRow {
  readonly moment: number;
  readonly granted: number;
  readonly start: number;
  readonly tat: number;
  readonly version: string;
  readonly hold: number;
}

interface FactRow {
  /** Null: there is none. */
  readonly there: string | null;
  readonly remaining: number | null;
}

/** Connects to PostgreSQL. One connection carries statements and messages. It never reconnects: its user opens a new one. */
export async function openPostgresEngine(options: EngineOptions): Promise<FleetEngine> {
  const { giveUp, onLost, onMessage, prefix, url } = options;
  const socket = new Socket();
  const client = new Client({
    connectionString: url,
    application_name: 'breakwater',
    stream: () => socket,
    keepAlive: true,
    pipeline: true,
  });
  client.on('error', onLost);
  client.on('end', () => onLost(new Error('the connection has ended')));
  client.on('notification', ({ payload }) => onMessage(payload ?? ''));
  const opening = async () => {
    await client.connect();
    await client.query(SETTINGS);
    await client.query(SCHEMA);
    await client.query(SWEEP);
    await client.query(`LISTEN ${client.escapeIdentifier(channelOf(prefix))}`);
  };
  try {
    await unlessAborted(opening(), giveUp);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return new PostgresEngine(client, socket, options);
}

/** The name of a channel has at most 63 characters, so a long prefix would not fit. */
const channelOf = (prefix: string): string =>
  `breakwater_${createHash('sha256').update(prefix).digest('hex').slice(0, 32)}`;

class PostgresEngine implements FleetEngine {
  readonly #client: Client;
  readonly #socket: Socket;
  readonly #options: EngineOptions;
  #gathers = false;

  constructor(client: Client, socket: Socket, options: EngineOptions) {
    this.#client = client;
    this.#socket = socket;
    this.#options = options;
  }

  async lease(key: string, request: LeaseRequest): Promise<LeaseReply> {
    const { intervalMs, burst, want, need, owed, back, known } = request;
    const numbers = [intervalMs, burst, want, need, owed, back.units, back.end, known.version, known.tat];
    const row = await this.#row<LeaseRow>('lease', LEASE, [this.#named(key), ...numbers]);
    return {
      now: numberOf(row.moment),
      granted: numberOf(row.granted),
      from: numberOf(row.start),
      ledger: { tat: numberOf(row.tat), version: numberOf(row.version), holdUntil: numberOf(row.hold) },
    };
  }

  async muster(replica: string): Promise<Muster> {
    const { newGeneration, prefix } = this.#options;
    const row = await this.#row<{ replicas: string; current: string }>('muster', MUSTER, [
      prefix,
      replica,
      newGeneration(),
    ]);
    return { replicas: numberOf(row.replicas), generation: row.current };
  }

  async leave(replica: string): Promise<void> {
    await this.#client.query(LEAVE, [this.#options.prefix, replica]);
  }

  async read(key: string): Promise<Fact | undefined> {
    return factOf(await this.#row<FactRow>('read', READ, [this.#named(key)]));
  }

  async write(key: string, text: string, ms: number): Promise<void> {
    await this.#row('write', WRITE, [this.#named(key), text, ms]);
  }

  async claim(key: string, text: string, ms: number): Promise<Fact | undefined> {
    return factOf(await this.#row<FactRow>('claim', CLAIM, [this.#named(key), text, ms]));
  }

  async exchange(key: string, expected: string, text: string, ms: number): Promise<boolean> {
    const values = [this.#named(key), expected, text, ms];
    return (await this.#row<{ done: boolean }>('exchange', EXCHANGE, values)).done;
  }

  async publish(message: string): Promise<void> {
    await this.#client.query('SELECT pg_notify($1, $2)', [channelOf(this.#options.prefix), message]);
  }

  /** `end` alone waits for a server that may not answer. */
  async close(): Promise<void> {
    const ended = this.#client.end();
    this.#socket.destroySoon();
    await ended;
  }

  #named(key: string): string {
    return `${this.#options.prefix}:${key}`;
  }

  /** Statements of one turn leave together, because a write to the socket costs more than the rest of a statement. */
  #gather(): void {
    if (this.#gathers) return;
    this.#gathers = true;
    this.#socket.cork();
    queueMicrotask(() => {
      this.#gathers = false;
      this.#socket.uncork();
    });
  }

  /** A named statement is planned once for the connection. */
  async #row<T extends object>(name: string, text: string, values: readonly unknown[]): Promise<T> {
    this.#gather();
    const { clock } = this.#options;
    const { rows } = await this.#client.query<T>({ name, text, values: [clock?.() ?? null, ...values] });
    const [row] = rows;
    if (row === undefined) throw new Error('the database gave no row');
    return row;
  }
}

function factOf({ there, remaining }: FactRow): Fact | undefined {
  return there === null ? undefined : { text: there, leftMs: remaining ?? 0 };
}
