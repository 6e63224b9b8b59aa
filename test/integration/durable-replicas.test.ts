import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import { MISSING, type PostgresServer, startPostgres } from '../durable/postgres-server.ts';
import { run, temporaryFolder } from '../support/command.ts';
import { type DurableConfig, durableConfig, startDurable } from '../support/durable.ts';
import { hang, type Origin, ok, startOrigin, status } from '../support/origin.ts';

let server: PostgresServer;
beforeAll(async () => {
  if (MISSING === undefined) server = await startPostgres();
});
afterAll(() => server?.stop());

/** Complete proxies, each with its own connections, on one store. */
describe.skipIf(MISSING !== undefined)(`proxies that share PostgreSQL ${MISSING ?? ''}`, () => {
  async function three(origin: Origin, config: DurableConfig = {}) {
    const yaml = durableConfig(origin, { ...config, store: await server.freshUrl() });
    return [await startDurable(yaml), await startDurable(yaml), await startDurable(yaml)] as const;
  }

  test('each answers and waits for a request that another accepted', async () => {
    const origin = await startOrigin(status(503, {}, 'not now'), status(201, { 'x-receipt': '17' }, 'paid'));
    const [one, two, third] = await three(origin);
    const key = { 'idempotency-key': 'order-7781', authorization: 'Bearer mine' };
    const location = await one.accepted(key, { method: 'POST' });
    const mine = { authorization: 'Bearer mine' };
    expect(await two.done(location, mine)).toMatchObject({ status: 'succeeded', attempts: { made: 2 } });
    const result = await third.call('GET', `${location}/response`, mine);
    expect([result.status, result.headers.get('x-receipt'), await result.text()]).toEqual([
      201,
      '17',
      'paid',
    ]);
    const { attempts } = (await (await two.call('GET', `${location}/attempts`, mine)).json()) as {
      attempts: object[];
    };
    expect(attempts).toMatchObject([
      { n: 1, status: 503, reply: 'not now' },
      { n: 2, status: 201 },
    ]);
    // The caller and the key are the same for all of them.
    expect((await two.call('GET', location, { authorization: 'Bearer other' })).status).toBe(404);
    expect(await third.accepted(key, { method: 'POST' })).toBe(location);
    expect(origin.requests).toHaveLength(2);
  });

  test('a route paused on one is paused on all, and each can resume it', async () => {
    const origin = await startOrigin(ok('done'));
    const [one, two, third] = await three(origin);
    expect((await one.admin('POST', '/routes/api%2Fdefault/pause')).status).toBe(200);
    const location = await two.accepted();
    await two.until(location, ({ next }) => next?.reason === 'paused');
    expect(origin.requests).toHaveLength(0);
    await third.admin('POST', '/routes/api%2Fdefault/resume');
    expect(await one.done(location)).toMatchObject({ status: 'succeeded' });
  });

  test('each can cancel a waiting request', async () => {
    const origin = await startOrigin(hang());
    const [one, two] = await three(origin);
    const waiting = await one.accepted({ 'breakwater-delay': '1h' });
    expect((await two.call('POST', `${waiting}/cancel`)).status).toBe(200);
    expect(await one.monitor(waiting)).toMatchObject({ status: 'cancelled' });
  });

  test('an attempt on another proxy cannot be cancelled, and the error says so', async () => {
    const origin = await startOrigin(hang());
    const yaml = durableConfig(origin, { store: await server.freshUrl() });
    const owner = await startDurable(yaml);
    const location = await owner.accepted();
    await origin.untilRequests(1);
    const other = await startDurable(yaml);
    for (const [method, path] of [
      ['POST', `${location}/cancel`],
      ['DELETE', location],
    ] as const) {
      const reply = await other.call(method, path);
      expect([reply.status, await reply.json()]).toEqual([
        409,
        expect.objectContaining({ detail: 'the request is running in another process' }),
      ]);
    }
    expect((await owner.call('POST', `${location}/cancel`)).status).toBe(200);
    expect(await other.monitor(location)).toMatchObject({ status: 'cancelled' });
  });

  test('a request of a killed proxy is run by another after its lease', {
    timeout: 60_000,
  }, async () => {
    const origin = await startOrigin(hang(), ok('done'));
    const store = await server.freshUrl();
    const yaml = durableConfig(origin, { store });
    const listen = 'listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\n';
    const folder = temporaryFolder({ 'config.yaml': listen + yaml });
    const doomed = run(process.execPath, ['src/main.ts', 'start', '--config', `${folder}/config.yaml`]);
    const [, url = ''] = await doomed.untilPrinted(/"listening on (http:[^"]+)"/);
    const headers = { prefer: 'respond-async' };
    const reply = await fetch(`${url}/api/orders`, { method: 'PUT', body: 'an order', headers });
    const location = reply.headers.get('location') ?? '';
    await origin.untilRequests(1);
    doomed.child.kill('SIGKILL');
    await doomed.ended();

    const early = await startDurable(yaml);
    expect(await early.monitor(location)).toMatchObject({ status: 'running' });
    expect(origin.requests).toHaveLength(1);
    const later: Clock = { ...systemClock, wallTime: () => systemClock.wallTime() + 3_600_000 };
    const other = await startDurable(yaml, { clock: later });
    // Its clock is wrong, which it logs. Leases use the clock of the store.
    expect(await other.monitor(location)).toMatchObject({ status: 'running' });
    const db = new Client({ connectionString: store });
    await db.connect();
    await db.query('UPDATE breakwater_job SET wake_at = 1');
    await db.end();
    expect(await other.done(location)).toMatchObject({ status: 'succeeded', attempts: { made: 2 } });
    expect(other.proxy.logs.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/machine is 3\d{6} ms ahead of the clock of the durable store/),
    );
    expect(early.proxy.logs.filter(({ message }) => message.includes('clock'))).toEqual([]);
    expect(await (await early.call('GET', `${location}/response`)).text()).toBe('done');
    expect(origin.requests.map(({ body }) => String(body))).toEqual(['an order', 'an order']);
  });
});
