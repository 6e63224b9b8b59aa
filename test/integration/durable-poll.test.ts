import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/command.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, startOrigin, status } from '../support/origin.ts';
import { CONDITIONS, pass, pending, says, settled, waiting } from '../support/polling.ts';

/* `durable.poll`: a request is submitted once, and the URL in its reply is polled. */

const polls = (target: string, deadline = '3d') => `poll: {
      target: ${target},
      until: { ${CONDITIONS}, delay: { min: 2s, max: 2m }, deadline: ${deadline} } }`;

const PAYMENT = { method: 'POST', body: '{"amount":100}' };
const HEADERS = {
  'content-type': 'application/json',
  'idempotency-key': 'order-1',
  'x-tenant': 'acme',
};
const lines = (origin: { requests: readonly { method?: string; url?: string }[] }) =>
  origin.requests.map(({ method, url }) => `${method} ${url}`);

test('a payment is submitted once and polled by its id; the last reply is the response', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(says({ id: 17, status: 'new' }, {}, 201), pending, status(503), settled);
  const durable = polls('"/v1/payments/{json:/id}/status"');
  const client = await startDurable(durableConfig(origin, { durable }), { clock });
  const location = await client.accepted(HEADERS, PAYMENT, '/api/v1/payments');

  const submitted = await waiting(client, location, 0);
  expect(submitted).toMatchObject({ next: { reason: 'polling' }, response: { status: 201 } });
  const meanwhile = await client.call('GET', `${location}/response`);
  expect([meanwhile.status, ((await meanwhile.json()) as { status: string }).status]).toEqual([
    202,
    'waiting',
  ]);
  await pass(submitted, clock);
  const polled = await waiting(client, location, 1);
  expect(polled.response?.status).toBe(201);
  await pass(polled, clock);
  const error = await client.until(location, ({ next }) => next?.reason === 'backoff');
  expect(error.response?.status).toBe(201);
  await pass(error, clock);

  expect(await client.until(location, ({ done }) => done)).toMatchObject({
    status: 'succeeded',
    response: { status: 200 },
    polls: { count: 2 },
  });
  const response = await client.call('GET', `${location}/response`);
  expect(await response.json()).toEqual({ status: 'settled', receipt: 'r-1' });
  const poll = 'GET /v1/payments/17/status';
  expect(lines(origin)).toEqual(['POST /v1/payments', poll, poll, poll]);
  const [, asked] = origin.requests;
  expect(asked?.headers).toMatchObject({ 'x-tenant': 'acme' });
  expect(asked?.headers).not.toHaveProperty('idempotency-key');
  expect(asked?.headers).not.toHaveProperty('content-type');
  expect(asked?.body.length).toBe(0);
});

test('an Azure operation has its own URL, route and credentials, and Retry-After', async () => {
  const clock = new FakeClock();
  const accepted = (url: string) =>
    says({}, { 'operation-location': `${url}/ai/operations/9?v=1`, 'retry-after': '10' }, 202);
  const origin = await startOrigin(
    (exchange) => accepted(origin.url)(exchange),
    says({ status: 'running' }, { 'retry-after': '7' }),
    says({ status: 'settled' }),
  );
  const more = `    headers: { set: { api-key: secret } }
    routes:
      - name: operations
        match: { path: /operations/* }
        headers: { set: { x-route: operations } }`;
  const yaml = durableConfig(origin, { durable: polls('header:Operation-Location'), more });
  const client = await startDurable(yaml.replace(`url: ${origin.url}`, `url: ${origin.url}/ai`), { clock });
  const location = await client.accepted({}, PAYMENT, '/api/analyze');
  expect(await pass(await waiting(client, location, 0), clock)).toBe(10_000);
  expect(await pass(await waiting(client, location, 1), clock)).toBe(7_000);
  await client.until(location, ({ done }) => done);
  const poll = 'GET /ai/operations/9?v=1';
  expect(lines(origin)).toEqual(['POST /ai/analyze', poll, poll]);
  expect(origin.requests.map(({ headers }) => [headers['api-key'], headers['x-route']])).toEqual([
    ['secret', undefined],
    ['secret', 'operations'],
    ['secret', 'operations'],
  ]);
});

describe('the URL in a reply', () => {
  test.each([
    ['status/9', '/base/v1/status/9'],
    ['/base/x?y=1#z', '/base/x?y=1'],
    ['?page=2', '/base/v1/jobs?page=2'],
  ])('%s is polled as %s', async (location, path) => {
    const origin = await startOrigin(status(202, { location }), settled);
    const config = durableConfig(origin, { durable: polls('header:location').replace('2s', '100ms') });
    const client = await startDurable(config.replace(`url: ${origin.url}`, `url: ${origin.url}/base`));
    const at = await client.accepted({}, PAYMENT, '/api/v1/jobs');
    expect(await client.done(at)).toMatchObject({ status: 'succeeded' });
    expect(lines(origin)).toEqual(['POST /base/v1/jobs', `GET ${path}`]);
  });

  test.each([
    [
      'https://elsewhere.example/x',
      'points to https://elsewhere.example, but only the same upstream is polled',
    ],
    ['//elsewhere.example/x', 'points to http://elsewhere.example'],
    ['/admin', "points outside the path of the upstream's URL"],
    ['/base/../admin', 'points outside the path'],
    ['/base/%2e%2e/admin', 'points outside the path'],
    ['/base/secret/1', "is not on this upstream's allow-list"],
    ['', 'has no location header to poll'],
  ])('%s is not followed', async (location, why) => {
    const origin = await startOrigin(status(202, { location }));
    const allow = '    allow: [POST /v1/jobs, GET /v1/*]';
    const config = durableConfig(origin, {
      durable: polls('header:location').replace('2s', '100ms'),
      more: allow,
    });
    const client = await startDurable(config.replace(`url: ${origin.url}`, `url: ${origin.url}/base`));
    const at = await client.accepted({}, PAYMENT, '/api/v1/jobs');
    const end = await client.done(at);
    expect(end).toMatchObject({
      status: 'failed',
      error: { code: 'not_retryable' },
      response: { status: 202 },
    });
    expect(end.error?.title).toContain(why);
    expect(origin.requests).toHaveLength(1);
  });

  test.each([
    [{ id: 'a/b' }, 'GET /jobs/a%2Fb/status'],
    [{ id: 'a b?c' }, 'GET /jobs/a%20b%3Fc/status'],
  ])('a value %j stays one segment', async (value, line) => {
    const origin = await startOrigin(says(value), settled);
    const durable = polls('"/jobs/{json:/id}/status"').replace('2s', '100ms');
    const client = await startDurable(durableConfig(origin, { durable }));
    await client.done(await client.accepted({}, PAYMENT));
    expect(lines(origin)[1]).toBe(line);
  });

  // A value stays one segment; staying below the base path is not enough.
  test.each(['../admin', '..\\admin', '..;a/admin', '..%2Fadmin', '%252e%252e/admin', 'a/../../admin'])(
    'a value %j leaves the path and is not followed',
    async (id) => {
      for (const basePath of ['', '/base']) {
        const origin = await startOrigin(says({ id }), settled);
        const yaml = durableConfig(origin, { durable: polls('"/jobs/{json:/id}/status"') });
        const client = await startDurable(
          yaml.replace(`url: ${origin.url}`, `url: ${origin.url}${basePath}`),
        );
        const end = await client.done(await client.accepted({}, PAYMENT));
        expect(end.error?.title).toContain('reply would lead out of the poll path');
        expect(origin.requests).toHaveLength(1);
      }
    },
  );

  test.each([{ id: '..' }, { id: '' }, { id: null }, { id: '\ud800' }, {}])(
    'a value %j is not usable',
    async (value) => {
      const origin = await startOrigin(says(value));
      const client = await startDurable(
        durableConfig(origin, { durable: polls('"/jobs/{json:/id}/status"') }),
      );
      const end = await client.done(await client.accepted({}, PAYMENT));
      expect(end.error?.title).toContain('has no usable value at /id for the poll path');
    },
  );
});

describe('after a restart with the same file', () => {
  const start = async (origin: { url: string }, store: string, clock: FakeClock) =>
    startDurable(durableConfig(origin, { durable: polls('header:location'), store }), { clock });

  test.each([0, 1])('after %i polls, polling goes on, and nothing is submitted again', async (polls) => {
    const store = join(temporaryFolder(), 'store.db');
    const clock = new FakeClock();
    const origin = await startOrigin(status(202, { location: '/jobs/1' }), pending, pending, settled);
    const first = await start(origin, store, clock);
    const location = await first.accepted({}, PAYMENT);
    if (polls > 0) await pass(await waiting(first, location, 0), clock);
    await waiting(first, location, polls);
    await first.proxy.app.stop(0);

    const second = await start(origin, store, clock);
    for (let n = polls; n <= 2; n++) await pass(await waiting(second, location, n), clock);
    const end = await second.until(location, ({ done }) => done);
    expect(end).toMatchObject({ status: 'succeeded', polls: { count: 3 } });
    expect(lines(origin)).toEqual(['POST /orders', 'GET /jobs/1', 'GET /jobs/1', 'GET /jobs/1']);
  });

  test('an aborted poll is repeated; an answered submission is not', async () => {
    const store = join(temporaryFolder(), 'store.db');
    const clock = new FakeClock();
    const origin = await startOrigin(status(202, { location: '/jobs/1' }), hang(), settled);
    const first = await start(origin, store, clock);
    const location = await first.accepted({}, PAYMENT);
    await pass(await waiting(first, location, 0), clock);
    await origin.untilRequests(2);
    await first.proxy.app.stop(0);
    const second = await start(origin, store, clock);
    await pass(await second.until(location, ({ next }) => next?.reason === 'backoff'), clock);
    expect((await second.done(location)).status).toBe('succeeded');
    expect(lines(origin)).toEqual(['POST /orders', 'GET /jobs/1', 'GET /jobs/1']);
  });
});

test('a retry after the deadline continues polling; after a failure it submits again', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(
    status(202, { location: '/jobs/1' }),
    pending,
    says({ status: 'declined' }),
    status(202, { location: '/jobs/2' }),
    settled,
  );
  const client = await startDurable(durableConfig(origin, { durable: polls('header:location', '3s') }), {
    clock,
  });
  const location = await client.accepted(HEADERS, PAYMENT);
  await pass(await waiting(client, location, 0), clock);
  expect((await client.until(location, ({ done }) => done)).error?.code).toBe('deadline');
  await client.call('POST', `${location}/retry`);
  expect((await client.until(location, ({ done }) => done)).error?.code).toBe('condition_failed');
  await client.call('POST', `${location}/retry`);
  await pass(await client.until(location, ({ next }) => next?.reason === 'polling'), clock);
  expect((await client.until(location, ({ done }) => done)).status).toBe('succeeded');
  expect(lines(origin)).toEqual([
    'POST /orders',
    'GET /jobs/1',
    'GET /jobs/1',
    'POST /orders',
    'GET /jobs/2',
  ]);
});

test('a reload without a poll target neither submits again nor ends on a pending reply', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(status(202, { location: '/jobs/1' }), pending);
  const store = join(temporaryFolder(), 'store.db');
  const client = await startDurable(durableConfig(origin, { durable: polls('header:location'), store }), {
    clock,
  });
  const location = await client.accepted({}, PAYMENT);
  const submitted = await waiting(client, location, 0);
  client.proxy.rewrite(durableConfig(origin, { store }));
  await client.proxy.app.reload();
  await pass(submitted, clock);
  expect((await client.until(location, ({ next }) => next?.reason === 'paused')).done).toBe(false);
  expect(origin.requests).toHaveLength(1);
});

test('an error before the submission is accepted follows the retry rules', async () => {
  const origin = await startOrigin(status(503), status(503), status(202, { location: '/jobs/1' }), settled);
  const client = await startDurable(
    durableConfig(origin, { durable: polls('header:location').replace('2s', '100ms') }),
  );
  const end = await client.done(await client.accepted(HEADERS, PAYMENT));
  expect(end).toMatchObject({ status: 'succeeded', attempts: { made: 4 }, polls: { count: 1 } });
});
