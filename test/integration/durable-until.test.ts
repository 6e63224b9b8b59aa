import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { durableConfig, startDurable } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { startOrigin, status } from '../support/origin.ts';
import { pass, pending, pollsOf, says, settled, UNTIL, waiting, waitOf } from '../support/polling.ts';

/* `until`: a successful reply need not be final. */

const GET = { method: 'GET', body: null };

test('promise: poll until a payment is settled: pending, pending, settled; changes are listed, repeats only counted', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(pending, pending, settled);
  const client = await startDurable(durableConfig(origin, { durable: UNTIL }), { clock });
  const location = await client.accepted({}, GET, '/api/payments/17');

  const first = await waiting(client, location, 1);
  expect(first.next?.reason).toBe('polling');
  expect(pollsOf(first)).toEqual({ count: 1, seen: 1, last: new Date(clock.wallTime()).toISOString() });
  expect(await pass(first, clock)).toBe(2_000);
  const second = await waiting(client, location, 2);
  expect(pollsOf(second)).toMatchObject({ count: 2, seen: 2 });
  expect(second.attempts.made).toBe(1);
  const wait = await pass(second, clock);
  expect(wait).toBeGreaterThanOrEqual(2_000);
  expect(wait).toBeLessThanOrEqual(4_000);

  const end = await client.until(location, ({ done }) => done);
  expect(end).toMatchObject({ status: 'succeeded', attempts: { made: 2 }, polls: { count: 3, seen: 1 } });
  const response = await client.call('GET', `${location}/response`);
  expect(await response.json()).toEqual({ status: 'settled', receipt: 'r-1' });
  const { attempts } = (await (await client.call('GET', `${location}/attempts`)).json()) as {
    attempts: unknown[];
  };
  expect(attempts).toMatchObject([
    { n: 1, status: 200, reason: 'polling', wait_ms: 2_000 },
    { n: 2, status: 200 },
  ]);
  expect(origin.requests).toHaveLength(3);
  const [line] = client.proxy.logs.filter(({ message }) => message.startsWith('durable'));
  expect(line?.message).toBe('durable GET api/default succeeded after 2 attempts and 3 polls: 200 → 200');
  expect(client.proxy.states.filter(({ type }) => type === 'durable_polled')).toMatchObject([
    { result: 'changed' },
    { result: 'unchanged' },
    { result: 'success' },
  ]);
});

test.each([
  [
    'declined',
    says({ status: 'declined', failure_reason: 'no funds' }),
    'The reply reports a failure: no funds',
  ],
  ['a 404', status(404), 'The reply reports a failure'],
])('%s: failed, with the message of the reply', async (_, step, title) => {
  const origin = await startOrigin(step);
  const client = await startDurable(durableConfig(origin, { durable: UNTIL }));
  const location = await client.accepted({}, GET);
  const end = await client.done(location);
  expect(end).toMatchObject({ status: 'failed', error: { code: 'condition_failed', title } });
  expect((await client.call('GET', `${location}/response`)).status).toBe(end.response?.status);
});

test('errors between polls are retried, and a successful poll resets the attempts', async () => {
  const clock = new FakeClock();
  const flaky = status(503);
  const origin = await startOrigin(pending, flaky, flaky, pending, flaky, flaky, settled);
  const durable = `attempts: 3, ${UNTIL}`;
  const client = await startDurable(durableConfig(origin, { durable }), { clock, random: () => 0.5 });
  const location = await client.accepted({}, GET);

  await pass(await waiting(client, location, 1), clock);
  for (const made of [2, 3]) {
    const backoff = await client.until(
      location,
      ({ attempts, status: now }) => attempts.made === made && now === 'waiting',
    );
    expect(backoff).toMatchObject({ next: { reason: 'backoff' }, polls: { count: 1 } });
    await pass(backoff, clock);
  }
  // The wait of the second poll and not of the fourth, because errors do not count as polls.
  const second = await waiting(client, location, 2);
  expect(waitOf(second, clock)).toBe(3_000);
  await pass(second, clock);
  for (const made of [4, 5])
    await pass(
      await client.until(
        location,
        ({ attempts, status: now }) => attempts.made === made && now === 'waiting',
      ),
      clock,
    );
  expect(await client.until(location, ({ done }) => done)).toMatchObject({
    status: 'succeeded',
    polls: { count: 3 },
    attempts: { made: 6 },
  });
});

test('consecutive errors use up the attempts, whatever was polled before', async () => {
  const origin = await startOrigin(pending, status(503));
  const until = UNTIL.replace('min: 2s', 'min: 100ms');
  const client = await startDurable(durableConfig(origin, { durable: `attempts: 3, ${until}` }));
  const location = await client.accepted({}, GET);
  expect(await client.done(location)).toMatchObject({ status: 'failed', error: { code: 'exhausted' } });
  expect(origin.requests).toHaveLength(4);
});

test.each([
  ['30', 30_000],
  ['3600', 120_000],
])('Retry-After: %s is waited for, up to max', async (seconds, wait) => {
  const clock = new FakeClock();
  const origin = await startOrigin(says({ status: 'pending' }, { 'retry-after': seconds }));
  const client = await startDurable(durableConfig(origin, { durable: UNTIL }), { clock });
  const monitor = await waiting(client, await client.accepted({}, GET), 1);
  expect(waitOf(monitor, clock)).toBe(wait);
});

test('the last poll is made exactly at the deadline, and its reply is stored', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(pending, says({ status: 'pending', try: 'last' }));
  const until = UNTIL.replace('3d', '3s');
  const client = await startDurable(durableConfig(origin, { durable: until }), { clock });
  const location = await client.accepted({}, GET);
  const first = await waiting(client, location, 1);
  expect(first.plan).toEqual([first['deadline']]);
  expect(await pass(first, clock)).toBe(3_000);
  const end = await client.until(location, ({ done }) => done);
  expect(end).toMatchObject({ status: 'failed', error: { code: 'deadline' }, polls: { count: 2 } });
  const response = await client.call('GET', `${location}/response`);
  expect(await response.json()).toEqual({ status: 'pending', try: 'last' });
  expect(origin.requests).toHaveLength(2);
});

test('an error near the deadline still allows the last poll at the deadline', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(pending, status(503), settled);
  const until = UNTIL.replace('3d', '10s');
  const yaml = durableConfig(origin, { durable: until }).replace(/(overloaded_base|base): 1ms/g, '$1: 1m');
  const client = await startDurable(yaml, { clock, random: () => 0 });
  const location = await client.accepted({}, GET);
  await pass(await waiting(client, location, 1), clock);
  const error = await client.until(
    location,
    ({ attempts, status: now }) => attempts.made === 2 && now === 'waiting',
  );
  expect(error.next).toEqual({ at: error['deadline'], reason: 'backoff' });
  await pass(error, clock);
  expect(await client.until(location, ({ done }) => done)).toMatchObject({ status: 'succeeded' });
});

test('an open breaker at the last poll ends the request without a busy loop', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(pending);
  const until = UNTIL.replace('3d', '3s');
  const client = await startDurable(durableConfig(origin, { durable: until }), { clock });
  const location = await client.accepted({}, GET);
  const first = await waiting(client, location, 1);
  await fetch(`${client.proxy.adminUrl}/breakers/api/open`, { method: 'POST' });
  await pass(first, clock);
  const end = await client.until(location, ({ done }) => done);
  expect(end.error?.code).toBe('deadline');
  expect(await (await client.call('GET', `${location}/response`)).json()).toEqual({ status: 'pending' });
});

test('a POST without a key is not sent again to poll', async () => {
  const origin = await startOrigin(pending);
  const client = await startDurable(durableConfig(origin, { durable: UNTIL }));
  const end = await client.done(await client.accepted({}, { method: 'POST' }));
  expect(end).toMatchObject({ status: 'failed', error: { code: 'not_retryable' } });
  expect(end.error?.title).toContain('set durable.poll.target');
  expect(origin.requests).toHaveLength(1);
});

test('a compressed reply is evaluated decompressed and stored as it came', async () => {
  const packed = gzipSync(JSON.stringify({ status: 'settled' }));
  const origin = await startOrigin(status(200, { 'content-encoding': 'gzip' }, packed));
  const client = await startDurable(durableConfig(origin, { durable: UNTIL }));
  const location = await client.accepted({}, GET);
  expect(await client.done(location)).toMatchObject({
    status: 'succeeded',
    response: { bytes: packed.length },
  });
});

test('a body that is not JSON, or too long, is not final, and the attempt says so', async () => {
  const clock = new FakeClock();
  const big = JSON.stringify({ status: 'settled', padding: 'x'.repeat(1_048_576) });
  const origin = await startOrigin(status(200, {}, gzipSync(big)), status(200, {}, big), settled);
  const client = await startDurable(durableConfig(origin, { durable: UNTIL }), { clock });
  const location = await client.accepted({}, GET);
  await pass(await waiting(client, location, 1), clock);
  await pass(await waiting(client, location, 2), clock);
  await client.until(location, ({ done }) => done);
  const { attempts } = (await (await client.call('GET', `${location}/attempts`)).json()) as {
    attempts: { detail?: string }[];
  };
  expect(attempts[0]?.detail).toBe('the body is not JSON of at most 1 MiB');
});

test('cancelled while it is polled', async () => {
  const clock = new FakeClock();
  const origin = await startOrigin(pending);
  const client = await startDurable(durableConfig(origin, { durable: UNTIL }), { clock });
  const location = await client.accepted({}, GET);
  await waiting(client, location, 1);
  expect(await (await client.call('POST', `${location}/cancel`)).json()).toMatchObject({
    status: 'cancelled',
  });
});
