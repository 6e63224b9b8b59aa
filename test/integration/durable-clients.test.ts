import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/command.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { hang, ok, type Origin, startOrigin } from '../support/origin.ts';

/* Durable requests of clients that are known by a token. */

const token = (name: string) => ({ 'breakwater-token': `${name}-token-0123456789` });

const CLIENTS = `clients:
  tokens:
    - { name: web, token: web-token-0123456789, priority: high }
    - { name: batch, token: batch-token-0123456789, priority: low }
`;

const config = (origin: Origin, store: string, clients = CLIENTS) =>
  durableConfig(origin, {
    store,
    top: `admin_token: operator-0123456789\n${clients}`,
    more: '    overrides: { priority: true }\n    headers: { set: { authorization: Bearer injected } }\n',
  });

const newStore = () => join(temporaryFolder(), 'store.db');

test('only the client that submitted a request can read its result; operators can, too', async () => {
  const client = await startDurable(config(await startOrigin(ok('paid')), newStore()));
  const location = await client.accepted(token('web'));
  expect(await client.done(location, token('web'))).toMatchObject({ client: 'web', status: 'succeeded' });
  const read = async (headers: Record<string, string>) =>
    (await client.call('GET', `${location}/response`, headers)).status;
  expect(await read(token('web'))).toBe(200);
  expect(await read(token('batch'))).toBe(404);
  expect(await read({})).toBe(401);
  expect(await read({ authorization: 'Bearer operator-0123456789' })).toBe(200);
  expect(await read({ authorization: 'Bearer wrong-0123456789' })).toBe(401);
  for (const method of ['POST', 'DELETE'])
    expect((await client.call(method, location, token('batch'))).status).not.toBe(204);
  expect((await client.call('GET', '/_breakwater/requests', token('web'))).status).toBe(401);
});

test('one key of two clients is two requests', async () => {
  const origin = await startOrigin(ok('paid'));
  const client = await startDurable(config(origin, newStore()));
  const key = { 'idempotency-key': 'order-1' };
  const [web, again, batch] = [
    await client.accepted({ ...token('web'), ...key }),
    await client.accepted({ ...token('web'), ...key }),
    await client.accepted({ ...token('batch'), ...key }),
  ];
  expect(again).toBe(web);
  expect(batch).not.toBe(web);
});

test('client and priority survive a restart, and so does access after a new token', async () => {
  const store = newStore();
  const origin = await startOrigin(hang());
  const first = await startDurable(config(origin, store));
  const headers = { ...token('web'), 'breakwater-priority': 'high', 'breakwater-delay': '1h' };
  const location = await first.accepted(headers);
  const plain = await first.accepted({ ...token('web'), 'breakwater-delay': '1h' });
  const forged = await first.accepted({ ...headers, ...token('batch') });
  await first.proxy.app.stop(0);
  const renewed = CLIENTS.replace('web-token-0123456789', 'new-token-0123456789');
  const second = await startDurable(config(origin, store, renewed));
  expect(await second.monitor(location, token('new'))).toMatchObject({ client: 'web', priority: 'high' });
  expect(await second.monitor(plain, token('new'))).toMatchObject({ client: 'web', priority: 'low' });
  expect(await second.monitor(forged, token('batch'))).toMatchObject({ client: 'batch', priority: 'low' });
  expect((await second.call('GET', location, token('web'))).status).toBe(401);
});

describe('a request that was submitted before clients needed tokens', () => {
  test.each([
    [{}, {}, 200],
    [{ 'x-api-key': 'mine' }, { 'x-api-key': 'mine' }, 200],
    [{ 'x-api-key': 'mine' }, { 'x-api-key': 'other' }, 404],
  ] as const)('with %j can be read with %j: %i', async (submitted, asked, status) => {
    const store = newStore();
    const origin = await startOrigin(ok('paid'));
    const client = await startDurable(config(origin, store, ''));
    const location = await client.accepted(submitted);
    client.proxy.rewrite(config(origin, store));
    expect(await client.proxy.app.reload()).toMatchObject({ ok: true });
    expect((await client.call('GET', location, { ...token('web'), ...asked })).status).toBe(status);
  });
});

test('no token is in the log or in what the request shows', async () => {
  const client = await startDurable(config(await startOrigin(ok('paid')), newStore()));
  const location = await client.accepted(token('batch'));
  const shown = [await client.done(location, token('batch')), client.proxy.logs];
  expect(JSON.stringify(shown)).not.toContain('token-0123456789');
});
