import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Breakwater, startBreakwater } from '../support/breakwater.ts';
import { temporaryFolder } from '../support/command.ts';
import { type Origin, ok, startOrigin, status } from '../support/origin.ts';

const durable = (origin: Origin, more = '') => `
durable: { store: ${join(temporaryFolder(), 'store.db')} }
upstreams:
  api:
    url: ${origin.url}
    allow_private: true
    durable: { backoff: { kind: constant, base: 1ms, overloaded_base: 1ms, jitter: none }${more} }
`;

const ASYNC = { prefer: 'respond-async' };

async function done(proxy: Breakwater, location: string) {
  const reply = await fetch(`${proxy.url}${location}`, { headers: { prefer: 'wait=20' } });
  return (await reply.json()) as { status: string; attempts: { made: number } };
}

test('a request is accepted, retried until it succeeds, and its response fetched', async () => {
  const origin = await startOrigin(status(503), status(503), ok('paid', { 'x-receipt': '17' }));
  const proxy = await startBreakwater(durable(origin));
  const accepted = await fetch(`${proxy.url}/api/orders?x=1`, {
    method: 'PUT',
    body: 'one order',
    headers: ASYNC,
  });
  expect(accepted.status).toBe(202);
  expect(accepted.headers.get('preference-applied')).toBe('respond-async');
  const location = accepted.headers.get('location') ?? '';
  expect(location).toMatch(/^\/_breakwater\/requests\/req_[0-9a-f]{32}$/);

  expect(await done(proxy, location)).toMatchObject({ status: 'succeeded', attempts: { made: 3 } });
  const response = await fetch(`${proxy.url}${location}/response`);
  expect([response.status, response.headers.get('x-receipt'), await response.text()]).toEqual([
    200,
    '17',
    'paid',
  ]);
  expect(origin.requests.map(({ body }) => body.toString())).toEqual(['one order', 'one order', 'one order']);
});

test.each([520, 522, 524, 530])('a %i of a gateway: a durable request with a key continues', async (code) => {
  const origin = await startOrigin(status(code), ok('paid'));
  const proxy = await startBreakwater(durable(origin, ', attempts: 3'));
  const accepted = await fetch(`${proxy.url}/api/orders`, { method: 'PUT', body: 'x', headers: ASYNC });
  expect(await done(proxy, accepted.headers.get('location') ?? '')).toMatchObject({
    status: 'succeeded',
    attempts: { made: 2 },
  });
});
