import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import { MISSING, type PostgresServer, startPostgres } from '../durable/postgres-server.ts';
import { type Wire, wire } from '../durable/wire.ts';
import { run, temporaryFolder } from '../support/command.ts';
import { type DurableClient, durableConfig, startDurable } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, type Origin, ok, startOrigin, status } from '../support/origin.ts';

/** A part of the statement that stores results together. */
const RESULTS = 'WITH held AS';

let server: PostgresServer;
beforeAll(async () => {
  if (MISSING === undefined) server = await startPostgres();
});
afterAll(() => server?.stop());

/** Faults while the results of several requests are on their way to the disk. */
describe.skipIf(MISSING !== undefined || process.env['BREAKWATER_TEST_POSTGRES'] !== undefined)(
  `results that PostgreSQL stores together ${MISSING ?? ''}`,
  () => {
    const onWire = async (origin: Origin, durable = '', clock: Clock = systemClock) => {
      const store = await server.freshUrl();
      const line = await wire(store);
      const client = await startDurable(durableConfig(origin, { store: line.url, durable }), { clock });
      return { client, line, store };
    };

    /** Requests whose results are held at the relay, on their way to the store. */
    const holding = async (
      origin: Origin,
      { client, line }: { client: DurableClient; line: Wire },
      count = 3,
    ) => {
      const held = line.arm(RESULTS, { kind: 'hold', passedOn: false });
      const locations = await Promise.all(Array.from({ length: count }, () => client.accepted()));
      await held;
      await origin.untilRequests(count);
      return locations;
    };

    const inStore = async (store: string, sql: string) => {
      const db = new Client({ connectionString: store });
      await db.connect();
      const { rows } = await db.query(sql);
      await db.end();
      return rows as readonly object[];
    };
    const expireLeases = (store: string) =>
      inStore(store, `UPDATE breakwater_job SET wake_at = 1 WHERE status = 'running'`);
    const finished = (store: string) =>
      inStore(store, `SELECT id FROM breakwater_job WHERE status = 'succeeded'`);

    const ends = ({ proxy }: DurableClient) => proxy.states.filter(({ type }) => type === 'durable_ended');
    const endLogs = ({ proxy }: DurableClient) =>
      proxy.logs.filter(({ message }) => message.startsWith('durable PUT'));

    test('a long poll is answered once the result is stored, and not before', async () => {
      const origin = await startOrigin(ok('done'));
      const { client, line } = await onWire(origin);
      const [location = ''] = await holding(origin, { client, line }, 1);
      const order: string[] = [];
      const polled = client.done(location).then((monitor) => {
        order.push('answered');
        return monitor;
      });
      expect(await client.monitor(location)).toMatchObject({ status: 'running' });
      expect((await client.call('GET', `${location}/response`)).status).toBe(202);
      order.push('released');
      line.release();
      expect(await polled).toMatchObject({ status: 'succeeded', response: { status: 200 } });
      expect(order).toEqual(['released', 'answered']);
    });

    test('a cancel waits for a success that is being stored, and is refused', async () => {
      const origin = await startOrigin(ok('done'));
      const { client, line } = await onWire(origin);
      const [location = ''] = await holding(origin, { client, line }, 1);
      const cancelled = client.call('POST', `${location}/cancel`);
      expect(await client.monitor(location)).toMatchObject({ status: 'running' });
      line.release();
      const reply = await cancelled;
      expect([reply.status, await reply.json()]).toEqual([
        409,
        expect.objectContaining({ detail: 'the request is already succeeded' }),
      ]);
      expect(await (await client.call('GET', `${location}/response`)).text()).toBe('done');
    });

    test('a cancel waits for a failure that is being stored, and then ends the request', async () => {
      const origin = await startOrigin(status(503), hang());
      const { client, line } = await onWire(origin);
      const [location = ''] = await holding(origin, { client, line }, 1);
      const cancelled = client.call('POST', `${location}/cancel`);
      expect(await client.monitor(location)).toMatchObject({ status: 'running' });
      line.release();
      expect((await cancelled).status).toBe(200);
      const { attempts } = (await (await client.call('GET', `${location}/attempts`)).json()) as {
        attempts: object[];
      };
      expect(attempts[0]).toMatchObject({ n: 1, status: 503 });
      expect(await client.monitor(location)).toMatchObject({ status: 'cancelled' });
    });

    test('a cancel whose result cannot be stored answers 503 after ten seconds, and the result is stored later', async () => {
      const origin = await startOrigin(ok('done'));
      const clock = new FakeClock();
      const { client, line } = await onWire(origin, '', clock);
      const [location = ''] = await holding(origin, { client, line }, 1);
      const cancelled = client.call('POST', `${location}/cancel`);
      await clock.untilWaiting('cancellation.ts', 10_000);
      await clock.advance(10_000);
      const reply = await cancelled;
      expect([reply.status, await reply.json()]).toEqual([
        503,
        expect.objectContaining({ code: 'store_unavailable' }),
      ]);
      line.release();
      expect(await client.done(location)).toMatchObject({ status: 'succeeded' });
    });

    test('a proxy that is stopped stores the results that wait, and then ends', async () => {
      const origin = await startOrigin(ok('done'));
      const { client, line, store } = await onWire(origin);
      const locations = await holding(origin, { client, line });
      const order: string[] = [];
      const stopped = client.proxy.app.stop(60_000).then(() => order.push('stopped'));
      order.push('released');
      line.release();
      await stopped;
      expect(order).toEqual(['released', 'stopped']);
      const after = await startDurable(durableConfig(origin, { store }));
      for (const location of locations)
        expect(await after.monitor(location)).toMatchObject({ status: 'succeeded', attempts: { made: 1 } });
      expect(origin.requests).toHaveLength(3);
    });

    test('a lease that runs out while its result waits: the other process ends the request, and it ends once', async () => {
      const origin = await startOrigin(ok('first'), ok('second'));
      const { client, line, store } = await onWire(origin);
      const [location = ''] = await holding(origin, { client, line }, 1);
      await expireLeases(store);
      const other = await startDurable(durableConfig(origin, { store }));
      expect(await other.done(location)).toMatchObject({ status: 'succeeded', attempts: { made: 2 } });
      line.release();
      await client.proxy.app.stop(60_000);
      expect(ends(client)).toEqual([]);
      expect(ends(other)).toHaveLength(1);
      expect(await (await other.call('GET', `${location}/response`)).text()).toBe('second');
    });

    test('a connection that breaks after the results were stored: each end is reported once', async () => {
      const origin = await startOrigin(ok('done'));
      const { client, line } = await onWire(origin);
      const cut = line.arm(RESULTS, { kind: 'cut', passedOn: true });
      const locations = await Promise.all(Array.from({ length: 3 }, () => client.accepted()));
      await cut;
      for (const location of locations)
        expect(await client.done(location)).toMatchObject({ status: 'succeeded' });
      await client.proxy.until(() => ends(client).length >= 3);
      await client.proxy.app.stop(60_000);
      expect(ends(client)).toHaveLength(3);
      expect(new Set(endLogs(client).map(({ fields }) => fields['id'])).size).toBe(3);
      expect(endLogs(client)).toHaveLength(3);
      expect(origin.requests).toHaveLength(3);
    });

    test.each([
      { passedOn: false, stored: 0, code: 'unknown_outcome', sent: ['POST', 'PUT', 'PUT'] },
      { passedOn: true, stored: 2, code: undefined, sent: ['POST', 'PUT'] },
    ])(
      'kill -9 while results are being stored, $stored of them stored: none is lost, and none is repeated unsafely',
      { timeout: 60_000 },
      async ({ passedOn, stored, code, sent }) => {
        const origin = await startOrigin(ok('done'));
        const store = await server.freshUrl();
        const line = await wire(store);
        const yaml = (url: string) => durableConfig(origin, { store: url }).replace('pass', 'none');
        const folder = temporaryFolder({
          'config.yaml': `listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n${yaml(line.url)}`,
        });
        const doomed = run(process.execPath, ['src/main.ts', 'start', '--config', `${folder}/config.yaml`]);
        onTestFinished(() => void doomed.child.kill('SIGKILL'));
        const [, url = ''] = await doomed.untilPrinted(/"listening on (http:[^"]+)"/);
        const accepted = async (method: string) => {
          const headers = { prefer: 'respond-async' };
          const reply = await fetch(`${url}/api/orders`, { method, body: 'an order', headers });
          return reply.headers.get('location') ?? '';
        };
        const held = line.arm(RESULTS, { kind: 'hold', passedOn });
        const [put, post] = await Promise.all([accepted('PUT'), accepted('POST')]);
        await held;
        await origin.untilRequests(2);
        await expect.poll(() => finished(store)).toHaveLength(stored);
        doomed.child.kill('SIGKILL');
        await doomed.ended();

        await expireLeases(store);
        const heir = await startDurable(yaml(store));
        expect(await heir.done(put)).toMatchObject({ status: 'succeeded' });
        const ended = await heir.done(post);
        expect(ended.error?.code).toBe(code);
        expect(origin.requests.map(({ method }) => method).toSorted()).toEqual(sent);
      },
    );
  },
);
