import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/command.ts';
import { durableConfig, startDurable } from '../support/durable.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { hang, ok, startOrigin, status } from '../support/origin.ts';

/** The name of this machine resolves to one of its own addresses. */
const forbidden = (yaml: string, url: string) =>
  yaml.replace(url, `http://${hostname()}:${new URL(url).port}`).replace('allow_private: true', '');

const POST = { method: 'POST', body: 'pay' };

test('an upstream that resolves to a forbidden address: the request waits for an operator, and no attempt counts', async () => {
  const origin = await startOrigin(ok());
  const yaml = durableConfig(origin);
  const client = await startDurable(forbidden(yaml, origin.url));
  const location = await client.accepted({}, POST);
  const waiting = await client.until(location, ({ next }) => next?.reason === 'address');
  expect(waiting).toMatchObject({ status: 'queued', attempts: { made: 0 } });
  await client.proxy.until(() => client.proxy.logs.some(({ fields }) => fields['reason'] === 'address'));
  const line = client.proxy.logs.find(({ fields }) => fields['reason'] === 'address');
  expect(line).toMatchObject({ level: 'warn', message: expect.stringContaining(hostname()) });
  expect(origin.requests).toHaveLength(0);

  client.proxy.rewrite(yaml);
  await client.proxy.app.reload();
  await client.call('POST', `${location}/retry`);
  expect(await client.done(location)).toMatchObject({ status: 'succeeded', attempts: { made: 1 } });
});

test('an obstacle that remains until the deadline is named in the error', async () => {
  const clock = new FakeClock();
  const url = 'http://127.0.0.1:9';
  const client = await startDurable(forbidden(durableConfig({ url }), url), { clock });
  const location = await client.accepted({ 'breakwater-deadline': '30s' }, POST);
  await client.until(location, ({ next }) => next?.reason === 'address');
  const done = client.done(location);
  await clock.advance(30_000);
  expect(await done).toMatchObject({
    status: 'failed',
    error: { code: 'deadline', title: expect.stringContaining(`was not sent: ${hostname()}`) },
    attempts: { made: 0 },
  });
});

test('a POST without a key is sent again after 429', async () => {
  const origin = await startOrigin(status(429), status(429, { 'retry-after': '0' }), ok('paid'));
  const client = await startDurable(durableConfig(origin));
  const location = await client.accepted({}, POST);
  expect(await client.done(location)).toMatchObject({ status: 'succeeded', attempts: { made: 3 } });
});

test.each([408, 500, 502, 503, 504])(
  'a POST without a key ends after %i, because the upstream may have processed it',
  async (code) => {
    const origin = await startOrigin(status(code, {}, 'why'), ok());
    const client = await startDurable(durableConfig(origin));
    const location = await client.accepted({}, POST);
    expect(await client.done(location)).toMatchObject({
      status: 'failed',
      error: {
        code: 'unknown_outcome',
        title: expect.stringContaining(`the upstream replied ${code} and may have processed`),
      },
      attempts: { made: 1 },
      response: { status: code },
    });
    expect(origin.requests).toHaveLength(1);
  },
);

const KEY = '11'.repeat(32);
const OTHER_KEY = '22'.repeat(32);

test('with another credentials_key the request waits, is not sent, and goes on when the key is back', async () => {
  const origin = await startOrigin(ok());
  const config = (key: string) =>
    durableConfig(origin, {
      store,
      process: `credentials: encrypted, credentials_key: "${key}"`,
      more: '    breaker: off\n',
    });
  const store = join(temporaryFolder(), 'store.db');
  const client = await startDurable(config(KEY));
  const auth = { authorization: 'Bearer mine' };
  const location = await client.accepted({ ...auth, 'breakwater-delay': '1h' }, POST);

  client.proxy.rewrite(config(OTHER_KEY));
  await client.proxy.app.reload();
  await client.call('POST', `${location}/retry`, auth);
  const sealed = (reason: unknown) => reason === 'credentials';
  await client.proxy.until(() => client.proxy.logs.some(({ fields }) => sealed(fields['reason'])));
  expect(await client.monitor(location, auth)).toMatchObject({
    status: 'queued',
    next: { reason: 'credentials' },
    attempts: { made: 0 },
  });
  const line = client.proxy.logs.find(({ fields }) => sealed(fields['reason']));
  expect(line).toMatchObject({ level: 'warn', message: expect.stringContaining('durable.credentials_key') });
  expect(origin.requests).toHaveLength(0);

  client.proxy.rewrite(config(KEY));
  await client.proxy.app.reload();
  await client.call('POST', `${location}/retry`, auth);
  expect(await client.done(location, auth)).toMatchObject({ status: 'succeeded', attempts: { made: 1 } });
  expect(origin.requests[0]?.headers).toMatchObject(auth);
});

test('a process that dies in each attempt: lost attempts count, are listed and are followed by waits', async () => {
  const store = join(temporaryFolder(), 'store.db');
  const origin = await startOrigin(hang());
  const yaml = durableConfig(origin, { store, durable: 'attempts: 3' });
  let location = '';
  for (let life = 1; life <= 3; life++) {
    const client = await startDurable(yaml);
    location ||= await client.accepted();
    await origin.untilRequests(life);
    await client.proxy.app.stop(0);
  }
  const client = await startDurable(yaml);
  expect(await client.done(location)).toMatchObject({
    status: 'failed',
    error: { code: 'exhausted' },
    attempts: { made: 3 },
  });
  const reply = await client.call('GET', `${location}/attempts`);
  const { attempts } = (await reply.json()) as { attempts: object[] };
  const lost = { error: 'connection_terminated', reclaimed: true };
  expect(attempts).toMatchObject([
    { n: 1, ...lost, wait_ms: 1, reason: 'backoff' },
    { n: 2, ...lost, wait_ms: 1, reason: 'backoff' },
    { n: 3, ...lost, reason: 'exhausted' },
  ]);
  expect(origin.requests).toHaveLength(3);
});

test('a POST that ran when its process died is not repeated, even if its route was removed', async () => {
  const store = join(temporaryFolder(), 'store.db');
  const origin = await startOrigin(hang(), ok());
  const yaml = durableConfig(origin, { store });
  const first = await startDurable(yaml);
  const location = await first.accepted({}, POST);
  await origin.untilRequests(1);
  await first.proxy.app.stop(0);
  const second = await startDurable(yaml.replace('  api:', '  other:'));
  expect(await second.done(location)).toMatchObject({
    status: 'failed',
    error: { code: 'unknown_outcome' },
    attempts: { made: 1 },
  });
});
