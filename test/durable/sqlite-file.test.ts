import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Db, Statement } from '../../src/durable/store/db.ts';
import { openStore } from '../../src/durable/store/open.ts';
import { openSqlite } from '../../src/durable/store/sqlite.ts';
import type { Store } from '../../src/durable/store/store.ts';
import { run, temporaryFolder } from '../support/command.ts';
import { newJob, settlement } from './jobs.ts';

const plain = (sql: string, ...params: Statement['params']): Statement => ({ sql, params });
const place = () => join(temporaryFolder(), 'store.db');

async function opened(file: string): Promise<Store> {
  const store = await openStore(file);
  onTestFinished(() => store.close());
  return store;
}

async function bare(options: Parameters<typeof openSqlite>[1] = {}): Promise<Db> {
  const db = await openSqlite(place(), options);
  onTestFinished(() => db.close());
  await db.batch([plain('CREATE TABLE t (x INTEGER PRIMARY KEY, b BLOB)')]);
  return db;
}

describe('batches', () => {
  test('commit with an fsync each, in a WAL, for one process', async () => {
    const db = await bare();
    const pragmas = ['journal_mode', 'synchronous', 'locking_mode', 'auto_vacuum', 'foreign_keys'];
    const rows = await db.batch(pragmas.map((name) => plain(`PRAGMA ${name}`)));
    expect(rows.flatMap(([row]) => Object.values(row ?? {}))).toEqual(['wal', 2, 'exclusive', 2, 1]);
  });

  test('of one turn share a commit', async () => {
    const commits: number[] = [];
    const db = await bare({ onCommit: (ms, batches) => void (ms > 0 && commits.push(batches)) });
    commits.length = 0;
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => db.batch([plain('INSERT INTO t (x) VALUES ($1)', i)])),
    );
    expect(commits).toEqual([50]);
  });

  test('that fail leave no changes and do not affect other batches', async () => {
    const db = await bare();
    const insert = (x: number) => plain('INSERT INTO t (x) VALUES ($1)', x);
    const results = await Promise.allSettled([
      db.batch([insert(1)]),
      db.batch([insert(2), insert(1)]),
      db.batch([insert(3), plain('SELECT nonsense FROM nowhere')]),
      db.batch([insert(4)]),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
    const [rows] = await db.batch([plain('SELECT x FROM t')]);
    expect(rows).toEqual([{ x: 1 }, { x: 4 }]);
  });

  test('end at a failed precondition and leave no changes', async () => {
    const db = await bare();
    const precondition: Statement = { ...plain('SELECT 1 FROM t WHERE x = $1', 7), precondition: true };
    const insert = plain('INSERT INTO t (x) VALUES (7) RETURNING x');
    const after = plain('INSERT INTO t (x) VALUES (8)');
    expect(await db.batch([plain('INSERT INTO t (x) VALUES (6) RETURNING x'), precondition, after])).toEqual([
      [{ x: 6 }],
      [],
      [],
    ]);
    expect(await db.batch([insert, precondition, after])).toHaveLength(3);
    expect((await db.batch([plain('SELECT x FROM t')]))[0]).toEqual([{ x: 7 }, { x: 8 }]);
  });
});

describe('one process', () => {
  test('refuses a second one until it has closed the file', async () => {
    const file = place();
    const store = await openStore(file);
    await store.submit(newJob('req_1'));
    const script = `
      import { openStore } from './src/durable/store/open.ts';
      try { const store = await openStore(${JSON.stringify(file)}); console.log((await store.get('req_1')).id); await store.close(); }
      catch (error) { console.log(error.problem, error.message); }`;
    const other = () => run(process.execPath, ['--input-type=module', '-e', script]);
    const refused = async () => {
      const second = other();
      expect(await second.ended()).toBe(0);
      expect(second.out).toContain(`locked durable store ${file}: another process has the file open`);
    };
    await refused();
    // Neither does a second one in this process release the locks of the first one.
    await expect(openStore(file)).rejects.toMatchObject({ problem: 'locked' });
    await refused();
    await store.submit(newJob('req_2'));
    await store.close();
    const third = other();
    expect(await third.ended()).toBe(0);
    expect(third.out.trim()).toBe('req_1');
  });

  test('reclaims the requests of its predecessor at once, whatever their lease', async () => {
    const file = place();
    const store = await openStore(file);
    for (const id of ['req_1', 'req_2']) await store.submit(newJob(id));
    await store.claim({ owner: 'first boot', now: 1_000, leaseNow: 1_000, leaseMs: 900_000, limit: 1 });
    await store.close();
    const next = await opened(file);
    const claimed = await next.claim({
      owner: 'second boot',
      now: 1_001,
      leaseNow: 1_001,
      leaseMs: 900_000,
      limit: 9,
    });
    expect(claimed.map(({ id, reclaimed, attempt }) => ({ id, reclaimed, attempt }))).toEqual([
      { id: 'req_1', reclaimed: true, attempt: 2 },
      { id: 'req_2', reclaimed: false, attempt: 1 },
    ]);
    expect(await next.settle(settlement('req_1', { owner: 'first boot' }))).toBe(false);
  });
});

describe('upkeep', () => {
  test('a backup is a complete store, made while the store is in use', async () => {
    const file = place();
    const store = await opened(file);
    await store.submit(newJob('req_1', { body: Buffer.alloc(50_000, 7) }));
    const copy = `${file}.backup`;
    const [, during] = await Promise.all([store.backup(copy), store.submit(newJob('req_2'))]);
    expect(during).toMatchObject({ kind: 'accepted' });
    await expect(store.backup(copy)).rejects.toMatchObject({
      message: expect.stringContaining(`${copy} already exists`) as string,
    });
    await expect(store.backup('/nowhere/at/all')).rejects.toMatchObject({ name: 'StoreError' });
    const restored = await opened(copy);
    expect(Buffer.alloc(50_000, 7).equals((await restored.request('req_1'))?.body ?? Buffer.of())).toBe(true);
    expect(await restored.secret()).toBe(await store.secret());
  });

  test('close waits for a backup in progress', async () => {
    const file = await filled(60_000);
    const store = await openStore(file);
    const last = store.backup(`${file}.backup`);
    await store.close();
    await last;
    expect(await (await opened(`${file}.backup`)).backlog()).toBe(200);
    expect(existsSync(`${file}.backup.partial`)).toBe(false);
  });

  test('its files are readable by their owner only', async () => {
    const file = place();
    const store = await opened(file);
    await store.submit(newJob('req_1'));
    await store.backup(`${file}.backup`);
    for (const end of ['', '-wal', '.backup']) expect(statSync(file + end).mode & 0o777).toBe(0o600);
  });

  test('returns the space of deleted requests to the file system', async () => {
    const file = place();
    const store = await opened(file);
    for (let i = 0; i < 40; i++) await store.submit(newJob(`req_${i}`, { body: Buffer.alloc(100_000, i) }));
    for (let i = 0; i < 40; i++) await store.cancel(`req_${i}`, 2_000, 3_000);
    const full = await store.bytes();
    expect(full).toBeGreaterThan(4_000_000);
    while ((await store.sweep(4_000, 10)) > 0);
    for (let i = 0; i < 20; i++) await store.sweep(4_000, 10);
    await store.close();
    expect(statSync(file).size).toBeLessThan(1_000_000);
  });

  test('a schema of a newer version is not changed', async () => {
    const file = place();
    await (await openStore(file)).close();
    const db = new DatabaseSync(file);
    db.exec('INSERT INTO breakwater_schema (version) VALUES (99)');
    db.close();
    await expect(openStore(file)).rejects.toMatchObject({
      problem: 'failed',
      message: expect.stringContaining('schema 99, made by a newer Breakwater') as string,
    });
  });

  test('becomes the schema of this version as a whole or not at all', async () => {
    const file = place();
    const db = new DatabaseSync(file);
    db.exec('CREATE TABLE t (x); CREATE INDEX breakwater_job_request ON t (x)');
    db.close();
    await expect(openStore(file)).rejects.toMatchObject({
      message: expect.stringContaining('breakwater_job_request already exists') as string,
    });
    const after = new DatabaseSync(file);
    onTestFinished(() => after.close());
    expect(after.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`).all()).toEqual([
      { name: 'breakwater_schema' },
      { name: 't' },
    ]);
  });
});

describe('trouble', () => {
  const garbage = Buffer.alloc(8_192, 'not a database ');

  test('a file that is not a database is refused with the reason and not changed', async () => {
    const file = place();
    writeFileSync(file, garbage);
    await expect(openStore(file)).rejects.toMatchObject({ name: 'StoreError', problem: 'corrupt' });
    expect(readFileSync(file).equals(garbage)).toBe(true);
  });

  test('a damaged file is refused with the reason', async () => {
    const file = await filled();
    const bytes = readFileSync(file);
    for (let at = 8_192; at < bytes.length; at += 4_096) bytes.fill(0xa5, at, at + 64);
    writeFileSync(file, bytes);
    await expect(openStore(file)).rejects.toMatchObject({ name: 'StoreError', problem: 'corrupt' });
  });

  test('a truncated file is refused with the reason', async () => {
    const file = await filled();
    writeFileSync(file, readFileSync(file).subarray(0, 40_960));
    await expect(openStore(file)).rejects.toMatchObject({ name: 'StoreError', problem: 'corrupt' });
  });

  test('damage found later makes the store refuse everything', async () => {
    const file = await filled(60_000);
    const store = await opened(file);
    // Larger than SQLite's cache, so that it reads the file again.
    const bytes = readFileSync(file);
    for (let at = 8_192; at < bytes.length; at += 4_096) bytes.fill(0xa5, at, at + 64);
    writeFileSync(file, bytes);
    await expect(store.request('req_0')).rejects.toMatchObject({ problem: 'corrupt' });
    await expect(store.submit(newJob('req_new'))).rejects.toMatchObject({ problem: 'corrupt' });
  });

  test.each(['', '-wal'])('the file%s is removed while open: the store refuses everything', async (end) => {
    const file = await filled();
    const store = await opened(file);
    await store.submit(newJob('req_before'));
    rmSync(`${file}${end}`);
    const refused = { problem: 'failed', message: expect.stringContaining('removed or replaced') as string };
    await expect(store.submit(newJob('req_new'))).rejects.toMatchObject(refused);
    writeFileSync(`${file}${end}`, '');
    await expect(store.submit(newJob('req_new'))).rejects.toMatchObject(refused);
  });

  test('a missing folder is named in the error', async () => {
    await expect(openStore('/nowhere/at/all/store.db')).rejects.toMatchObject({
      problem: 'failed',
      message: expect.stringContaining('/nowhere/at/all/store.db') as string,
    });
  });

  test('no pages left: rejected as full, accepted requests stay, and it works again once there is room', async () => {
    const db = await openSqlite(place());
    onTestFinished(() => db.close());
    const insert = (x: number) =>
      db.batch([plain('INSERT INTO t (x, b) VALUES ($1, $2)', x, Buffer.alloc(3_000))]);
    await db.batch([
      plain('CREATE TABLE t (x INTEGER PRIMARY KEY, b BLOB)'),
      plain('PRAGMA max_page_count = 50'),
    ]);
    const results = await Promise.allSettled(Array.from({ length: 100 }, (_, i) => insert(i)));
    const accepted = results.flatMap(({ status }, x) => (status === 'fulfilled' ? [{ x }] : []));
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused.length).toBeGreaterThan(20);
    for (const { reason } of refused) expect(reason).toMatchObject({ name: 'StoreError', problem: 'full' });
    expect((await db.batch([plain('SELECT x FROM t ORDER BY x')]))[0]).toEqual(accepted);
    await db.batch([plain('PRAGMA max_page_count = 5000')]);
    await insert(1_000);
  });

  test.skipIf(!canMount())(
    'a full disk: nothing is acknowledged that is not stored, and acknowledged requests stay',
    async () => {
      const folder = mounted('size=1m');
      const file = join(folder, 'store.db');
      const store = await openStore(file);
      writeFileSync(join(folder, 'filler'), Buffer.alloc(300_000));
      const accepted: string[] = [];
      const problems = new Set<unknown>();
      for (let round = 0; round < 30; round++) {
        const ids = Array.from({ length: 16 }, (_, i) => `req_${round}_${i}`);
        const submits = ids.map((id) => store.submit(newJob(id, { body: Buffer.alloc(4_000, id) })));
        for (const [i, result] of (await Promise.allSettled(submits)).entries()) {
          if (result.status === 'fulfilled') accepted.push(ids[i] as string);
          else problems.add((result.reason as { problem?: string }).problem);
        }
      }
      expect([...problems]).toEqual(['full']);
      expect(accepted.length).toBeGreaterThan(0);
      rmSync(join(folder, 'filler'));
      expect(await store.submit(newJob('after', { body: Buffer.alloc(10) }))).toMatchObject({
        kind: 'accepted',
      });
      await store.close();
      const again = await openStore(file);
      const found = new Set((await again.list({ limit: 10_000 })).map(({ id }) => id));
      expect([...accepted, 'after'].filter((id) => !found.has(id))).toEqual([]);
      await again.close();
    },
  );

  test.skipIf(!canMount())(
    'a full disk: accepted requests are sent and end, also after a restart',
    async () => {
      const folder = mounted('size=32m');
      const file = join(folder, 'store.db');
      const first = await openStore(file);
      const body = Buffer.alloc(2_000, 'b');
      const ids = Array.from({ length: 60 }, (_, i) => `req_${i}`);
      for (const id of ids) await first.submit(newJob(id, { body }));
      fillUp(folder);
      const due = { owner: 'a', now: 2_000, leaseNow: 2_000, leaseMs: 60_000 };
      const response = {
        status: 200,
        statusText: '',
        headers: [],
        body: Buffer.alloc(20_000, 'r'),
        truncated: false,
      };
      const deliver = async (store: Store, limit: number) => {
        const claimed = await store.claim({ ...due, limit });
        for (const { id, attempt } of claimed)
          expect(await store.settle(settlement(id, { attempt, response }))).toBe(true);
        return claimed.map(({ id }) => id);
      };
      const sent: string[] = [];
      for (let n = 0; n < 3; n++) {
        await expect(
          first.submit(newJob('refused', { body: Buffer.alloc(9_000_000) })),
        ).rejects.toMatchObject({ problem: 'full' });
        sent.push(...(await deliver(first, 10)));
        // Other programs may take the released space.
        fillUp(folder);
      }
      await first.close();
      fillUp(folder);
      const next = await openStore(file);
      onTestFinished(() => next.close());
      await expect(next.submit(newJob('refused'))).rejects.toMatchObject({ problem: 'full' });
      sent.push(...(await deliver(next, 60)));
      expect(sent.sort()).toEqual(ids.toSorted());
      for (const id of ids) expect(await next.get(id)).toMatchObject({ status: 'succeeded', attempt: 1 });
      rmSync(join(folder, 'filler'));
      expect(await next.submit(newJob('after', { body }))).toMatchObject({ kind: 'accepted' });
      expect(statSync(`${file}-reserve`).size).toBeGreaterThan(1_000_000);
    },
  );

  test.each([
    ['cut short', (file: string) => truncateSync(file, 20_480)],
    ['emptied', (file: string) => truncateSync(file, 0)],
    ['written over', (file: string) => writeFileSync(file, garbage, { flag: 'r+' })],
    ['robbed of its WAL', (file: string) => truncateSync(`${file}-wal`, 0)],
  ])('a file that is %s while open is noticed at once: the store refuses everything', async (_, spoil) => {
    const file = await filled();
    const store = await opened(file);
    await store.submit(newJob('req_before'));
    spoil(file);
    const refused = { problem: 'corrupt', message: expect.stringContaining('another program') as string };
    await expect(store.submit(newJob('req_new'))).rejects.toMatchObject(refused);
    await expect(store.submit(newJob('req_new'))).rejects.toMatchObject(refused);
  });

  test('its own changes of the file cause no alarm: growing, checkpoints, returning space', async () => {
    const store = await opened(place());
    for (let round = 0; round < 3; round++) {
      const ids = Array.from({ length: 60 }, (_, i) => `req_${round}_${i}`);
      for (const id of ids) await store.submit(newJob(id, { body: Buffer.alloc(100_000) }));
      for (const id of ids) await store.cancel(id, 2_000, 3_000);
      while ((await store.sweep(4_000, 20)) > 0);
    }
    expect(await store.backlog()).toBe(0);
  });

  test.skipIf(process.getuid?.() === 0 && !canMount())(
    'a folder that is not writable is refused with the reason',
    async () => {
      const source = await filled();
      const folder = process.getuid?.() === 0 ? mounted('size=10m') : temporaryFolder();
      const file = join(folder, 'store.db');
      copyFileSync(source, file);
      if (process.getuid?.() === 0) execFileSync('mount', ['-o', 'remount,ro', folder]);
      else {
        chmodSync(file, 0o444);
        chmodSync(folder, 0o555);
        onTestFinished(() => chmodSync(folder, 0o755));
      }
      await expect(openStore(file)).rejects.toMatchObject({ name: 'StoreError', problem: 'read_only' });
      await expect(openStore(join(folder, 'new.db'))).rejects.toMatchObject({
        name: 'StoreError',
        problem: 'read_only',
      });
    },
  );
});

/** A closed store that spans many pages. */
async function filled(bytes = 1_000): Promise<string> {
  const file = place();
  const store = await openStore(file);
  await Promise.all(
    Array.from({ length: 200 }, (_, i) => store.submit(newJob(`req_${i}`, { body: Buffer.alloc(bytes, i) }))),
  );
  await store.close();
  return file;
}

/** Writes until the disk is full. */
function fillUp(folder: string): void {
  const filler = openSync(join(folder, 'filler'), 'a');
  for (let bytes = 65_536; bytes >= 1; ) {
    try {
      writeSync(filler, Buffer.alloc(bytes));
    } catch {
      bytes = Math.floor(bytes / 16);
    }
  }
  closeSync(filler);
}

/** A small file system for this test. */
function mounted(options: string): string {
  const folder = join(temporaryFolder(), 'disk');
  mkdirSync(folder);
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', folder]);
  onTestFinished(() => void execFileSync('umount', ['-l', folder]));
  return folder;
}

function canMount(): boolean {
  if (process.getuid?.() !== 0) return false;
  try {
    const folder = execFileSync('mktemp', ['-d'], { encoding: 'utf8' }).trim();
    execFileSync('mount', ['-t', 'tmpfs', 'none', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true });
    return true;
  } catch {
    return false;
  }
}
