import { connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import Pool from 'undici/lib/dispatcher/pool.js';
import PoolBase from 'undici/lib/dispatcher/pool-base.js';
import { expect, test, vi } from 'vitest';
import { Http1Pool } from '../../src/upstream/http1-pool.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { ok, startOrigin } from '../support/origin.ts';

test('an ended connection leaves nothing in memory', async () => {
  const listened = vi.spyOn(Pool.prototype, 'on');
  const origin = await startOrigin(ok());
  const sockets: Socket[] = [];
  const pool = new Http1Pool(origin.url, {
    clock: new FakeClock(),
    keepAliveMs: 4_000,
    maxAgeMs: 300_000,
    connect: ({ port, hostname }, callback) => {
      const socket = connect(Number(port), hostname, () => callback(null, socket));
      sockets.push(socket);
    },
  });
  const clients = (listened.mock.contexts[0] as Pool)[PoolBase.kClients];
  await Promise.all(Array.from({ length: 10 }, () => get(pool)));
  expect(pool.size).toBe(10);
  expect(clients.length).toBeGreaterThanOrEqual(10);
  const ended = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
  for (const socket of sockets) socket.destroy();
  await Promise.all(ended);
  await turn();
  expect(pool.size).toBe(0);
  // undici has one in reserve.
  expect(clients.length).toBeLessThanOrEqual(1);
  await get(pool);
  expect(pool.size).toBe(1);
  pool.close();
});

function get(pool: Http1Pool): Promise<void> {
  return new Promise((resolve, reject) => {
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart() {},
      onResponseStart() {},
      onResponseData() {},
      onResponseEnd: () => resolve(),
      onResponseError: (_, error) => reject(error),
    };
    pool.dispatch({ method: 'GET', path: '/' }, handler);
  });
}
