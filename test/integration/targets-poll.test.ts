import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/command.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type Origin, type Step, startOrigin, status } from '../support/origin.ts';
import { pass, pending, settled, UNTIL, waiting } from '../support/polling.ts';

/* `durable.poll` on an upstream with several targets: only the target that has accepted a request knows its result. */

const PAYMENT = { method: 'POST', body: '{}' };
const BY_LOCATION = `poll: { target: header:location, ${UNTIL} }`;

const keys = (names: readonly string[], more = '') =>
  `    targets:\n${names
    .map((name) => `      - { name: ${name}, headers: { set: { authorization: Bearer ${name} } }${more} }\n`)
    .join('')}`;

/** Requests with the key that each has come with. */
const lines = ({ requests }: Origin) =>
  requests.map(({ method, url, headers }) => `${method} ${url} ${headers.authorization?.slice(7)}`);

const start = (origin: Pick<Origin, 'url'>, more: string, clock?: FakeClock, durable = BY_LOCATION) =>
  startDurable(durableConfig(origin, { durable, more }), clock === undefined ? {} : { clock });

const accepted: Step = status(202, { location: '/jobs/1' });

describe('a poll goes to the target that has accepted the request', () => {
  test('whatever the turns of the targets; the status says which', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(accepted, pending, pending, settled);
    const client = await start(origin, keys(['a', 'b']), clock);
    const location = await client.accepted({}, PAYMENT);
    for (let n = 0; n <= 2; n++) await pass(await waiting(client, location, n), clock);
    expect(await client.done(location)).toMatchObject({
      status: 'succeeded',
      polls: { count: 3, target: 'a' },
    });
    expect(lines(origin)).toEqual(['POST /orders a', ...Array(3).fill('GET /jobs/1 a')]);
  });

  test('at its own URL, also if another one has refused the request', async () => {
    const clock = new FakeClock();
    const refusing = await startOrigin(status(401));
    const other = await startOrigin(status(202, { location: 'jobs/7?x=1' }), status(503), settled);
    const more = `    targets:
      - { name: a, url: ${refusing.url}/v1 }
      - { name: b, url: ${other.url}/other/v2 }
`;
    const yaml = durableConfig(refusing, { durable: BY_LOCATION, more });
    const client = await startDurable(yaml.replace(`url: ${refusing.url}\n`, `url: ${refusing.url}/v1\n`), {
      clock,
    });
    const location = await client.accepted({}, PAYMENT);
    await pass(await waiting(client, location, 0), clock);
    // A failure of the poll is repeated there, and not at the other one.
    await pass(await client.until(location, ({ next }) => next?.reason === 'backoff'), clock);
    expect(await client.done(location)).toMatchObject({ status: 'succeeded', polls: { target: 'b' } });
    expect(refusing.requests.map(({ url }) => url)).toEqual(['/v1/orders']);
    expect(other.requests.map(({ url }) => url)).toEqual([
      '/other/v2/orders',
      '/other/v2/jobs/7?x=1',
      '/other/v2/jobs/7?x=1',
    ]);
  });

  test('and a URL on the host of another target is not followed', async () => {
    const other = await startOrigin();
    const origin = await startOrigin(status(202, { location: `${other.url}/jobs/1` }));
    const more = `    targets: [{ name: a }, { name: b, url: "${other.url}", tier: 2 }]\n`;
    const client = await start(origin, more);
    const end = await client.done(await client.accepted({}, PAYMENT));
    expect(end.error?.title).toContain('only the same upstream is polled');
    expect(other.connections).toBe(0);
  });

  test('if it repeats the request itself: another key would begin a second operation', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(pending, pending, settled);
    const client = await start(origin, keys(['a', 'b']), clock, UNTIL);
    const location = await client.accepted({ 'idempotency-key': 'k' }, PAYMENT);
    await pass(await waiting(client, location, 1), clock);
    await pass(await waiting(client, location, 2), clock);
    expect((await client.done(location)).status).toBe('succeeded');
    expect(lines(origin)).toEqual(Array(3).fill('POST /orders a'));
  });

  test('after a restart, too', async () => {
    const clock = new FakeClock();
    const origin = await startOrigin(status(204), accepted, settled);
    const store = join(temporaryFolder(), 'store.db');
    const yaml = durableConfig(origin, { durable: BY_LOCATION, more: keys(['a', 'b']), store });
    const first = await startDurable(yaml, { clock });
    await fetch(`${first.proxy.url}/api/first`);
    const location = await first.accepted({}, PAYMENT);
    await waiting(first, location, 0);
    await first.proxy.app.stop(0);
    const second = await startDurable(yaml, { clock });
    await pass(await waiting(second, location, 0), clock);
    expect(await second.done(location)).toMatchObject({ status: 'succeeded', polls: { target: 'b' } });
    expect(lines(origin)).toEqual(['GET /first a', 'POST /orders b', 'GET /jobs/1 b']);
  });
});

test('a request whose target was removed by a reload ends with the reason, and is not polled elsewhere', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(accepted);
  const store = join(temporaryFolder(), 'store.db');
  const yaml = (names: readonly string[]) =>
    durableConfig(origin, { durable: BY_LOCATION, more: keys(names), store });
  const client = await startDurable(yaml(['a', 'b']), { clock });
  const location = await client.accepted({}, PAYMENT);
  const submitted = await waiting(client, location, 0);
  client.proxy.rewrite(yaml(['b', 'c']));
  await client.proxy.app.reload();
  await pass(submitted, clock);
  const end = await client.until(location, ({ done }) => done);
  expect(end).toMatchObject({
    status: 'failed',
    error: { code: 'not_retryable' },
    response: { status: 202 },
  });
  expect(end.error?.title).toBe(
    'the target a, which has accepted the request, is no longer in the configuration',
  );
  expect(origin.requests).toHaveLength(1);
});

test('a request whose upstream got several targets meanwhile ends with the reason', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(accepted);
  const store = join(temporaryFolder(), 'store.db');
  const yaml = (more: string) => durableConfig(origin, { durable: BY_LOCATION, more, store });
  const client = await startDurable(yaml(''), { clock });
  const location = await client.accepted({}, PAYMENT);
  const submitted = await waiting(client, location, 0);
  client.proxy.rewrite(yaml(keys(['a', 'b'])));
  await client.proxy.app.reload();
  await pass(submitted, clock);
  const end = await client.until(location, ({ done }) => done);
  expect(end.error?.title).toContain('it is unknown which of them has its result');
  expect(origin.requests).toHaveLength(1);
});

test('while its target is taken out, a request waits for it', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(accepted, settled);
  const client = await start(origin, keys(['a', 'b']), clock);
  const location = await client.accepted({}, PAYMENT);
  const submitted = await waiting(client, location, 0);
  const set = async (to: string) => {
    const reply = await fetch(`${client.proxy.adminUrl}/api/upstreams/api/target`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ target: 'a', set: to }),
    });
    expect(reply.status).toBe(200);
  };
  await set('out');
  await pass(submitted, clock);
  const held = await client.until(location, ({ next }) => next?.reason === 'target');
  expect(origin.requests).toHaveLength(1);
  expect(client.proxy.logs.at(-1)?.message).toContain(
    'the target a, which has got the request before, is not in service; put it in again',
  );
  await set('in');
  await pass(held, clock);
  expect((await client.done(location)).status).toBe('succeeded');
  expect(lines(origin)).toEqual(['POST /orders a', 'GET /jobs/1 a']);
});
