import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Why there is no PostgreSQL to test with. Undefined if there is one. */
export const MISSING: string | undefined =
  process.env['BREAKWATER_TEST_POSTGRES'] !== undefined || binaries() !== undefined
    ? undefined
    : 'no PostgreSQL: install it, or set BREAKWATER_TEST_POSTGRES';

export interface PostgresServer {
  /** A URL with a schema of its own, so that tests do not share tables. */
  freshUrl(): Promise<string>;
  stop(): Promise<void>;
}

/**
 * A server of this test file in a temporary folder, behind a Unix socket, or the one that BREAKWATER_TEST_POSTGRES
 * names.
 */
export async function startPostgres(): Promise<PostgresServer> {
  const given = process.env['BREAKWATER_TEST_POSTGRES'];
  if (given !== undefined) return { freshUrl: () => freshUrl(given), stop: async () => undefined };
  const bin = binaries() as string;
  const folder = mkdtempSync(join(tmpdir(), 'breakwater-postgres-'));
  const user = unprivileged();
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  execFileSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'breakwater', '--auth=trust', '--no-sync', '-E', 'UTF8'],
    { stdio: 'pipe', cwd: folder, ...user },
  );
  const settings = [
    'listen_addresses=',
    'fsync=off',
    'max_connections=200',
    'deadlock_timeout=50ms',
    'shared_buffers=32MB',
  ];
  const server = spawn(
    join(bin, 'postgres'),
    ['-D', data, '-k', folder, ...settings.flatMap((setting) => ['-c', setting])],
    { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder, ...user },
  );
  await untilReady(server);
  return {
    freshUrl: () => freshUrl(`postgres:///postgres?host=${folder}&user=breakwater`),
    stop: async () => {
      const ended = new Promise((resolve) => server.once('exit', resolve));
      // "Immediate shutdown": its data needs no checkpoint.
      server.kill('SIGQUIT');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function untilReady(server: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    server.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('ready to accept connections')) resolve();
    });
    server.once('exit', () => reject(new Error(`PostgreSQL ended: ${said}`)));
  });
}

async function freshUrl(url: string): Promise<string> {
  const { Client } = await import('pg');
  const schema = `t${process.pid}_${++schemas}`;
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(`CREATE SCHEMA ${schema}`);
  await client.end();
  return `${url}${url.includes('?') ? '&' : '?'}options=${encodeURIComponent(`-c search_path=${schema}`)}`;
}
let schemas = 0;

function binaries(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), ...globSync('/usr/lib/postgresql/*/bin')];
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')));
}

/** PostgreSQL refuses to run as root. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8').split('\n');
  const line = ['postgres', 'nobody'].map((name) => users.find((user) => user.startsWith(`${name}:`)));
  const [, , uid, gid] = (line.find((user) => user !== undefined) ?? '').split(':');
  return { uid: Number(uid), gid: Number(gid) };
}
