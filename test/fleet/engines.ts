import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { createClient } from '@redis/client';
import { Client } from 'pg';
import { onTestFinished } from 'vitest';
import type { EngineOptions, FleetEngine } from '../../src/fleet/engine.ts';
import type { LeaseRequest } from '../../src/fleet/ledger.ts';
import { openPostgresEngine } from '../../src/fleet/postgres.ts';
import { openRedis } from '../../src/fleet/redis.ts';

/** A server of the machine, or of the environment. */
export interface TestEngine {
  readonly name: string;
  readonly url: string;
  readonly open: (options: EngineOptions) => Promise<FleetEngine>;
  /** Why there is none; undefined: there is one. */
  readonly missing: string | undefined;
}

async function reachable(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const reached = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  });
  socket.destroy();
  return reached;
}

async function engineAt(
  name: string,
  { variable, usual, open }: { variable: string; usual: string; open: TestEngine['open'] },
): Promise<TestEngine> {
  const url = process.env[variable] ?? usual;
  const missing = (await reachable(url))
    ? undefined
    : `SKIPPED: no ${name} at ${usual}; start one, or set ${variable}`;
  return { name, url, open, missing };
}

export const REDIS = await engineAt('Redis', {
  variable: 'BREAKWATER_TEST_REDIS',
  usual: 'redis://127.0.0.1:6379',
  open: openRedis,
});

export const POSTGRES = await engineAt('PostgreSQL', {
  variable: 'BREAKWATER_TEST_FLEET_POSTGRES',
  usual: 'postgres://postgres@127.0.0.1:5432/postgres',
  open: openPostgresEngine,
});

export const ENGINES: readonly TestEngine[] = [REDIS, POSTGRES];

/** The first request of a replica for units of a window, with nothing to report. */
export const firstRequest = (intervalMs: number, burst: number, want: number): LeaseRequest => ({
  intervalMs,
  burst,
  want,
  need: 1,
  owed: 0,
  back: { units: 0, end: 0 },
  known: { version: 0, tat: 0 },
});

const DAY_MS = 86_400_000;

/**
 * The moment at which clocks of tests stand still: the beginning of a day in the future. Any process at the same database removes
 * what ended by the clock of the database.
 */
export const EPOCH: number = Math.ceil(Date.now() / DAY_MS + 1) * DAY_MS;

/** A name for the fleet of one test. */
export const freshName = (): string => `t${randomBytes(6).toString('hex')}`;

/** A connection of this test, closed at its end. */
export async function opened(engine: TestEngine, changes: Partial<EngineOptions> = {}): Promise<FleetEngine> {
  const one = await engine.open({
    url: engine.url,
    prefix: freshName(),
    giveUp: new AbortController().signal,
    newGeneration: () => randomBytes(6).toString('hex'),
    onMessage: () => undefined,
    onLost: () => undefined,
    ...changes,
  });
  onTestFinished(() => one.close());
  return one;
}

/** Names and values of everything that an engine stores for the fleets whose names begin so. */
export async function contentsOf({ url }: TestEngine, name: string): Promise<string> {
  return url.startsWith('redis') ? contentsOfRedis(url, name) : contentsOfPostgres(url, name);
}

async function contentsOfRedis(url: string, name: string): Promise<string> {
  const client = createClient({ url });
  await client.connect();
  const found: unknown[] = [];
  for (const key of await client.keys(`${name}:*`)) {
    const type = await client.type(key);
    if (type === 'hash') found.push(key, await client.hGetAll(key));
    else found.push(key, type === 'string' ? await client.get(key) : await client.zRange(key, 0, -1));
  }
  client.destroy();
  return JSON.stringify(found);
}

async function contentsOfPostgres(connectionString: string, name: string): Promise<string> {
  const client = new Client({ connectionString });
  await client.connect();
  const found: unknown[] = [];
  for (const [table, column] of [
    ['window', 'key'],
    ['replica', 'fleet'],
    ['generation', 'fleet'],
    ['fact', 'key'],
  ]) {
    const text = `SELECT * FROM breakwater_fleet_${table} WHERE starts_with(${column}, $1)`;
    found.push((await client.query(text, [name])).rows);
  }
  await client.end();
  return JSON.stringify(found);
}
