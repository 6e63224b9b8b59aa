import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createClient } from '@redis/client';
import { Client } from 'pg';
import { notOnPath } from './contenders.ts';
import { freePort, type Running, start } from './process.ts';

const ADMIN_URL = process.env['BENCH_POSTGRES'] ?? 'postgres://postgres@127.0.0.1:5432/postgres';

/** The reason why PostgreSQL cannot be used; undefined if it can. */
export async function postgresMissing(): Promise<string | undefined> {
  try {
    await query('select 1');
    return undefined;
  } catch (error) {
    const { host } = new URL(ADMIN_URL);
    return `PostgreSQL at ${host} does not answer (${String(error)}); BENCH_POSTGRES names another`;
  }
}

/** Creates an empty database for `work`, and drops it at the end. */
export async function withDatabase<T>(name: string, work: (url: string) => Promise<T>): Promise<T> {
  await query(`drop database if exists ${name} with (force)`);
  await query(`create database ${name}`);
  try {
    const url = new URL(ADMIN_URL);
    url.pathname = `/${name}`;
    return await work(url.href);
  } finally {
    await query(`drop database ${name} with (force)`);
  }
}

/** Carries out a statement. Default: as the administrator. */
export async function query(text: string, url = ADMIN_URL): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

export const REDIS_MISSING = notOnPath('redis-server');

export interface Redis extends Running {
  readonly port: number;
  /** Removes all data. */
  flush(): Promise<void>;
}

/** A Redis of its own. `durable`: it has each write on disk before it answers. */
export async function startRedis(tempDir: string, durable: boolean): Promise<Redis> {
  const port = await freePort();
  const dir = join(tempDir, `redis-${port}`);
  mkdirSync(dir);
  const onDisk = durable ? ['--appendonly', 'yes', '--appendfsync', 'always'] : [];
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', ...onDisk];
  const flush = async (): Promise<void> => {
    const client = createClient({ url: `redis://127.0.0.1:${port}` });
    await client.connect();
    await client.sendCommand(['FLUSHALL']);
    client.destroy();
  };
  return { ...(await start({ file: 'redis-server', args }, port)), port, flush };
}
