import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MISSING, type PostgresServer, startPostgres } from '../durable/postgres-server.ts';
import { temporaryFolder } from '../support/command.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { startRawOrigin } from '../support/raw-origin.ts';
import { answer, replyBytes } from '../support/raw-steps.ts';

let server: PostgresServer | undefined;
beforeAll(async () => {
  if (MISSING === undefined) server = await startPostgres();
});
afterAll(() => server?.stop());

const UNTIL =
  'until: { success: [{ json: /status, in: [settled] }], failure: [{ json: /status, in: [failed], message: /reason }] }';
const FAILED = replyBytes(
  200,
  ['content-type: application/json'],
  JSON.stringify({ status: 'failed', reason: `no \0 such \uD800 thing ${'x'.repeat(10_000)}` }),
);

describe.each([
  ['SQLite', undefined],
  ['PostgreSQL', MISSING],
])('any text of an upstream can be stored: %s', (database, missing) => {
  const store = () =>
    database === 'SQLite' ? join(temporaryFolder(), 'store.db') : (server as PostgresServer).freshUrl();

  test.skipIf(missing !== undefined)('U+0000 and half a character in the message of a failure', async () => {
    const origin = await startRawOrigin(answer(FAILED));
    const client = await startDurable(durableConfig(origin, { store: await store(), durable: UNTIL }));
    const ended = await client.done(await client.accepted());
    expect(ended).toMatchObject({ status: 'failed', error: { code: 'condition_failed' } });
    expect(ended.error?.title).toMatch(/^The reply reports a failure: no \uFFFD such \uFFFD thing x+$/);
    expect(origin.requests).toHaveLength(1);
    expect((await fetch(`${client.proxy.adminUrl}/readyz`)).status).toBe(200);
  });

  test.skipIf(missing !== undefined)('U+0000 in a reason phrase', async () => {
    const reply = Buffer.from(
      replyBytes(200, [], 'done').toString('latin1').replace('Raw', 'R\0w'),
      'latin1',
    );
    const origin = await startRawOrigin(answer(reply));
    const client = await startDurable(
      durableConfig(origin, { store: await store(), durable: 'attempts: 1' }),
    );
    // Whether the parser accepts it or not: one attempt, one end.
    expect((await client.done(await client.accepted())).done).toBe(true);
    expect(origin.requests).toHaveLength(1);
    expect((await fetch(`${client.proxy.adminUrl}/readyz`)).status).toBe(200);
  });
});
