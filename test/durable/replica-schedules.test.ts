import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { durableConfig, startDurable } from '../support/durable.ts';
import { ok, startOrigin } from '../support/origin.ts';
import { MISSING, type PostgresServer, startPostgres } from './postgres-server.ts';

let server: PostgresServer;
beforeAll(async () => {
  if (MISSING === undefined) server = await startPostgres();
});
afterAll(() => server?.stop());

const SLOTS = 3;

// These replicas use the real time, because the waits of PostgreSQL's client do.
describe.skipIf(MISSING !== undefined)(`schedules of two replicas on PostgreSQL ${MISSING ?? ''}`, () => {
  test('each slot runs once, and every replica returns the result', async () => {
    const origin = await startOrigin(ok('rates'));
    const yaml = durableConfig(origin, {
      store: `"${await server.freshUrl()}"`,
      top: 'schedules: { rates: { cron: "* * * * * *", request: { path: /api/fx }, overlap: queue } }',
    });
    const replicas = [await startDurable(yaml), await startDurable(yaml)];
    await origin.untilRequests(SLOTS);
    // The key of each run contains its slot.
    const slots = origin.requests.map(({ headers }) => headers['idempotency-key']);
    expect(slots[0]).toMatch(/^rates-\d{4}-/);
    expect(new Set(slots).size).toBe(slots.length);
    for (const client of replicas) {
      const reply = await client.call('GET', '/_breakwater/schedules/rates/response');
      expect(await reply.text()).toBe('rates');
    }
  });
});
