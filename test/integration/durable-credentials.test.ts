import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/command.ts';
import { type DurableClient, durableConfig, startDurable } from '../support/durable.ts';
import { ok, startOrigin } from '../support/origin.ts';

const HUSH = 'a-secret-that-must-not-leak';
const encrypted = () => `credentials: encrypted, credentials_key: ${randomBytes(32).toString('hex')}`;

/** All bytes of the store, including its write-ahead log. */
async function stored(client: DurableClient, store: string): Promise<string> {
  await client.proxy.app.stop(0);
  return readFileSync(store, 'latin1');
}

const readsWith = async (client: DurableClient, path: string, headers = {}) =>
  (await client.call('GET', path, headers)).status;

describe.each([
  ['X-Shopify-Access-Token', '    preset: shopify'],
  ['PRIVATE-TOKEN', ''],
  ['X-Vault-Token', ''],
  ['DD-API-KEY', ''],
  ['Cf-Access-Jwt-Assertion', ''],
  ['X-Honeycomb-Team', ''],
  ['X-My-Own', '    quota: { credential_headers: [x-my-own] }'],
  ['X-My-Own', '    identity: { secret_names: [x-my-own] }'],
])('a request that carries only %s', (name, more) => {
  test.each([false, true])('can be read only with that credential; encrypted: %s', async (encrypts) => {
    const store = join(temporaryFolder(), 'store.db');
    const origin = await startOrigin(ok('the result'));
    const process = encrypts ? encrypted() : '';
    const client = await startDurable(durableConfig(origin, { store, process, more }));
    const mine = { [name]: HUSH };
    const location = await client.accepted(mine);
    expect(await client.done(location, mine)).toMatchObject({ status: 'succeeded' });
    expect(origin.requests[0]?.headers[name.toLowerCase()]).toBe(encrypts ? HUSH : undefined);
    for (const path of [location, `${location}/response`]) {
      expect(await readsWith(client, path)).toBe(404);
      expect(await readsWith(client, path, { [name]: 'another' })).toBe(404);
      expect(await readsWith(client, path, mine)).toBe(200);
    }
    expect(await stored(client, store)).not.toContain(HUSH);
  });
});

test.each(['key', 'api_key', 'access_token'])('a secret in ?%s is encrypted, or refused', async (name) => {
  const store = join(temporaryFolder(), 'store.db');
  const origin = await startOrigin(ok());
  const path = `/api/orders?a=1&${name}=${HUSH}`;
  const client = await startDurable(durableConfig(origin, { store, process: encrypted() }));
  const location = await client.accepted({}, {}, path);
  const query = `?${name}=${HUSH}`;
  expect(await client.done(location + query)).toMatchObject({ status: 'succeeded' });
  expect(origin.requests[0]?.url).toBe(`/orders?a=1&${name}=${HUSH}`);
  expect(await readsWith(client, location)).toBe(404);
  expect(await readsWith(client, `${location}?${name}=another`)).toBe(404);
  expect(await stored(client, store)).not.toContain(HUSH);

  const without = await startDurable(durableConfig(origin));
  const refusal = await without.submit({}, {}, path);
  expect(refusal.status).toBe(400);
  const { detail } = (await refusal.json()) as { detail: string };
  expect(detail).toContain(`the query parameter ${name} contains a secret`);
  expect(detail).not.toContain(HUSH);
});

test.each([
  ['Stripe-Account', 'acct_a', 'acct_b'],
  ['Xero-Tenant-Id', 'a', 'b'],
  ['OpenAI-Organization', 'a', 'b'],
  ['X-Client-Id', 'a', 'b'],
])('the same key for another %s is another request', async (name, a, b) => {
  const origin = await startOrigin(ok('a’s'), ok('b’s'));
  const client = await startDurable(durableConfig(origin));
  const of = (account: string) => ({ authorization: 'Bearer x', [name]: account });
  const submit = (account: string) =>
    client.accepted({ ...of(account), 'idempotency-key': 'k' }, { body: account });
  const [first, second] = [await submit(a), await submit(b)];
  await client.done(first, of(a));
  await client.done(second, of(b));
  expect(second).not.toBe(first);
  expect(origin.requests.map(({ body }) => body.toString())).toEqual([a, b]);
  expect(await submit(a)).toBe(first);
  expect(await readsWith(client, `${first}/response`, of(b))).toBe(404);
  expect(await readsWith(client, `${first}/response`, of(a))).toBe(200);
});

test('fields that the route overwrites do not identify the caller, at submission and at reading', async () => {
  const origin = await startOrigin(ok());
  const client = await startDurable(
    durableConfig(origin, {
      more: '    headers: { set: { authorization: Bearer ours }, remove: [x-api-key] }',
    }),
  );
  const made = { authorization: 'Bearer made-up', 'x-api-key': 'made-up', 'x-vault-token': 'me' };
  const first = await client.accepted({ ...made, 'idempotency-key': 'k' });
  const again = await client.accepted({ 'x-vault-token': 'me', authorization: 'x', 'idempotency-key': 'k' });
  expect(again).toBe(first);
  expect(await readsWith(client, first, { 'x-vault-token': 'me', 'x-api-key': 'other' })).toBe(200);
  expect(await readsWith(client, first, { 'x-vault-token': 'you' })).toBe(404);
});
