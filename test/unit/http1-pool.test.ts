import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { ProxyError } from '../../src/proxy/errors.ts';
import type { Handler } from '../../src/upstream/handler.ts';
import { Http1Pool } from '../../src/upstream/http1-pool.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, startOrigin } from '../support/origin.ts';

const MAX_AGE_MS = 300_000;

async function startPool() {
  const origin = await startOrigin(ok());
  const clock = new FakeClock();
  const sockets: Socket[] = [];
  const pool = new Http1Pool(origin.url, {
    clock,
    keepAliveMs: 4_000,
    maxAgeMs: MAX_AGE_MS,
    connect: ({ port, hostname }, callback) => {
      const socket = connect(Number(port), hostname, () => callback(null, socket));
      sockets.push(socket);
    },
  });
  onTestFinished(() => pool.close());
  return { pool, clock, sockets };
}

const several = (pool: Http1Pool) => Promise.all(Array.from({ length: 10 }, () => get(pool)));

test('requests at the same time have a connection each, and later ones reuse them', async () => {
  const { pool, sockets } = await startPool();
  await several(pool);
  expect(sockets).toHaveLength(10);
  expect(pool.free).toBe(10);
  await several(pool);
  expect(sockets).toHaveLength(10);
});

test('an ended connection leaves nothing in memory', async () => {
  const { pool, sockets } = await startPool();
  await several(pool);
  expect(pool.size).toBe(10);
  const ended = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  for (const socket of sockets) socket.destroy();
  await Promise.all(ended);
  await turn();
  expect(pool.size).toBe(0);
  expect(pool.free).toBe(0);
  await get(pool);
  expect(pool.size).toBe(1);
});

test('a connection that is too old gets no request and is closed', async () => {
  const { pool, clock, sockets } = await startPool();
  await get(pool);
  const [old] = sockets as [Socket];
  const closed = new Promise((resolve) => old.once('close', resolve));
  await clock.advance(MAX_AGE_MS);
  await get(pool);
  expect(sockets).toHaveLength(2);
  await closed;
  expect(pool.size).toBe(1);
});

test('a request that undici refuses keeps no connection busy', async () => {
  const { pool, sockets } = await startPool();
  await get(pool);
  await expect(get(pool, '/ a')).rejects.toMatchObject({ code: 'UND_ERR_INVALID_ARG' });
  expect(pool.free).toBe(1);
  await get(pool);
  expect(sockets).toHaveLength(1);
});

test('close ends free connections at once, others after their request, and refuses new requests', async () => {
  const { pool, sockets } = await startPool();
  await Promise.all([get(pool), get(pool)]);
  const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  const running = get(pool);
  pool.close();
  await running;
  await Promise.all(closed);
  const refused: Partial<ProxyError> = { code: 'connection_terminated', sent: 'not_sent' };
  await expect(get(pool)).rejects.toMatchObject(refused);
  expect(sockets).toHaveLength(2);
});

function get(pool: Http1Pool, path = '/'): Promise<void> {
  return new Promise((resolve, reject) => {
    const handler: Handler = {
      onRequestStart() {},
      onRequestUpgrade() {},
      onResponseStart() {},
      onResponseData() {},
      // undici frees the connection in the turn after this one.
      onResponseEnd: () =>
        void turn()
          .then(() => turn())
          .then(() => resolve()),
      onResponseError: (_, error) => reject(error),
    };
    pool.dispatch({ method: 'GET', path }, handler);
  });
}
